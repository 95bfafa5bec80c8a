"""Listwise distillation of a cross-encoder into an encoder (Tamber et al., arXiv 2502.19712).

Candidates from several retrievers, scores from a teacher, filters, and rows for the loss. The loss itself is in
``multiretriever.training.distill.loss``, which loads torch; nothing else here does before it is used.
"""

from multiretriever.training.distill.candidates import ListBuilder, draw_pairs, fuse
from multiretriever.training.distill.corpora import Corpora, Corpus
from multiretriever.training.distill.cross_encoder import CrossEncoderTeacher
from multiretriever.training.distill.filters import FilterReport, ListFilter
from multiretriever.training.distill.lists import CandidateList, read_lists, write_lists
from multiretriever.training.distill.prepare import Prepared, prepare, prepare_lists
from multiretriever.training.distill.rows import to_rows
from multiretriever.training.distill.scoring import normalize
from multiretriever.training.distill.settings import DistillSettings, TeacherSettings
from multiretriever.training.distill.teacher import EnsembleTeacher, FileTeacher, Teacher, load_teacher
from multiretriever.training.distill.train_teacher import train_teacher

__all__ = [
    "CandidateList",
    "Corpora",
    "Corpus",
    "CrossEncoderTeacher",
    "DistillSettings",
    "EnsembleTeacher",
    "FileTeacher",
    "FilterReport",
    "ListBuilder",
    "ListFilter",
    "Prepared",
    "Teacher",
    "TeacherSettings",
    "draw_pairs",
    "fuse",
    "load_teacher",
    "normalize",
    "prepare",
    "prepare_lists",
    "read_lists",
    "to_rows",
    "train_teacher",
    "write_lists",
]
