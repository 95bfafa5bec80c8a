"""Listwise distillation of a cross-encoder into an encoder (Tamber et al., arXiv 2502.19712).

Candidates from several retrievers, scores from a teacher, filters, and rows for the loss. The loss itself is in
``multiretriever.training.distill.listwise_loss``, which loads torch; nothing else here does before it is used.
"""

from multiretriever.training.distill.cross_encoder import train_teacher
from multiretriever.training.distill.lists import CandidateList, read_lists
from multiretriever.training.distill.prepare import prepare, prepare_lists
from multiretriever.training.distill.teacher import Teacher, load_teacher
from multiretriever.training.recipe import DistillSettings, TeacherSettings

__all__ = [
    "CandidateList",
    "DistillSettings",
    "Teacher",
    "TeacherSettings",
    "load_teacher",
    "prepare",
    "prepare_lists",
    "read_lists",
    "train_teacher",
]
