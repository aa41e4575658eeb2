"""Files that workflows may touch: everything below a few named folders, and nothing else."""

from flowforge.kit.paths.entries import DRAFT_PREFIX, Entry
from flowforge.kit.paths.faults import PathError, PathFault
from flowforge.kit.paths.folders import FolderMode, FolderWriter
from flowforge.kit.paths.roots import FileRoots
from flowforge.kit.paths.trees import TreeCount
from flowforge.kit.paths.writing import RootWriter

__all__ = [
    "DRAFT_PREFIX",
    "Entry",
    "FileRoots",
    "FolderMode",
    "FolderWriter",
    "PathError",
    "PathFault",
    "RootWriter",
    "TreeCount",
]
