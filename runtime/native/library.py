"""The functions of a compiled plan, and the structures that they are given: as `compiler/codegen` prints them."""

from __future__ import annotations

import ctypes


class Memory(ctypes.Structure):
    """Addresses of the plan's arena: of what a run only reads, of what it works in; and of memory beside it."""

    _fields_ = (("fixed", ctypes.c_void_p), ("work", ctypes.c_void_p), ("pieces", ctypes.c_void_p))


class FeedRows(ctypes.Structure):
    """One sample after another, `stride` bytes apart."""

    _fields_ = (("data", ctypes.c_void_p), ("stride", ctypes.c_int64))


class Job(ctypes.Structure):
    """Many steps of one program."""

    _fields_ = (
        ("memory", Memory),
        ("scratch", ctypes.c_void_p),
        ("scratch_bytes", ctypes.c_int64),
        ("feeds", ctypes.POINTER(FeedRows)),
        ("numbers", ctypes.c_void_p),
        ("count", ctypes.c_int64),
        ("batch", ctypes.c_int64),
        ("threads", ctypes.c_int64),
    )


class Prediction(ctypes.Structure):
    """One prediction at a time; as many addresses as there are inputs and outputs follow, for C to fill."""

    _fields_ = (
        ("memory", Memory),
        ("scratch", ctypes.c_void_p),
        ("scratch_bytes", ctypes.c_int64),
        ("batch", ctypes.c_int64),
        ("threads", ctypes.c_int64),
        ("pool", ctypes.c_void_p),
        ("header", ctypes.c_int64),
        ("given", ctypes.c_void_p),
        ("rows", ctypes.c_int64),
        ("is_back", ctypes.c_int64),
    )


class Library:
    """The functions of a compiled plan. The interpreter is free while one of them runs."""

    def __init__(self, path: str) -> None:
        self._library = ctypes.CDLL(path)
        self.make_pool = self._library.nnc_pool
        self.make_pool.restype, self.make_pool.argtypes = ctypes.c_void_p, (ctypes.c_int,)
        self.end_pool = self._library.nnc_end
        self.end_pool.restype, self.end_pool.argtypes = None, (ctypes.c_void_p,)
        self.run = self._library.nnc_run
        self.run.restype = None
        self.run.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(Job))
        self.predict = self._library.nnc_predict
        self.predict.restype, self.predict.argtypes = ctypes.c_int, (ctypes.c_void_p,)
