"""Listwise distillation of a cross-encoder into an encoder (Tamber et al., arXiv 2502.19712).

Candidates from several retrievers, scores from a teacher, filters, and rows for the loss. The loss itself is in
``multiretriever.training.distill.listwise_loss``, which loads torch; nothing else here does before it is used.
"""

from multiretriever.training.distill.cross_encoder import CrossEncoderTeacher, train_teacher
from multiretriever.training.distill.lists import (
    CandidateList,
    Corpora,
    Corpus,
    ListBuilder,
    draw_pairs,
    fuse,
    read_lists,
    write_lists,
)
from multiretriever.training.distill.prepare import FilterReport, ListFilter, Prepared, prepare, prepare_lists, to_rows
from multiretriever.training.distill.scores import normalize
from multiretriever.training.distill.teacher import EnsembleTeacher, FileTeacher, Teacher, load_teacher
from multiretriever.training.recipe import DistillSettings, TeacherSettings

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
