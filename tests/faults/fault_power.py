"""Power cuts: what a run wrote is read off strace, and put back as a disk could hold it after a cut at any call.

What was synced is there. Of what was not, a disk may hold anything: nothing, all, or some writes without others, the
last of them torn. Names (files made, renamed and removed) last once their folder was synced; before that any first
part of the changes may be there, in order, as journalling file systems have it.
"""

import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

TRACED = "openat,creat,write,pwrite64,writev,fsync,fdatasync,rename,unlink,ftruncate,mkdir,fallocate"
SECTOR = 512


@dataclass(slots=True)
class Call:
    """A call that changed the disk, or synced it.

    Attributes:
        name: Of the call.
        path: File or folder, as the run named it.
        data: What was written; the new name's bytes for a rename.
        at: Offset, or length for ftruncate and fallocate.
        handle: File descriptor; -1 where there is none.
        is_new: For openat: a file may have been made; with ``at`` 0, it was emptied.
    """

    name: str
    path: str
    data: bytes = b""
    at: int = -1
    handle: int = -1
    is_new: bool = False


def trace(log: Path, *command: str) -> list[Call]:
    """Run a Python script under strace; return its calls in the order in which they ended.

    Without strace the test is skipped.
    """
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed; on Debian: apt-get install strace")
    options = ["-f", "-y", "-xx", "-s", str(1 << 24), "-e", f"trace={TRACED}", "-o", str(log)]
    subprocess.run(["strace", *options, sys.executable, *command], check=True, timeout=300)
    return list(_calls(log.read_text().splitlines()))


def _calls(lines: list[str]) -> Iterator[Call]:
    begun: dict[str, str] = {}
    for line in lines:
        pid, _, text = line.partition(" ")
        text = text.lstrip()
        if text.endswith("<unfinished ...>"):
            begun[pid] = text.removesuffix("<unfinished ...>")
            continue
        if resumed := re.match(r"<\.\.\. \w+ resumed>", text):
            text = begun.pop(pid) + text[resumed.end() :]
        call = _call(text)
        if call is not None:
            yield call


def _call(text: str) -> Call | None:
    """Read one line; None for calls that failed, and lines that are no calls."""
    found = re.match(r"(\w+)\((.*)\)\s+= (\d+)(<.*>)?$", text)
    if not found:
        return None
    name, arguments, result = found[1], found[2], int(found[3])
    texts = [bytes.fromhex(each.replace(r"\x", "")) for each in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', arguments)]
    numbers = [int(each) for each in re.findall(r", (\d+)", arguments)]
    handle = re.match(r"(\d+)<((?:\\x[0-9a-f]{2})+)>", arguments)
    if name == "openat":
        is_new, is_emptied = "O_CREAT" in arguments, "O_TRUNC" in arguments
        return Call(name, texts[0].decode(), at=0 if is_emptied else -1, handle=result, is_new=is_new)
    if name in ("rename", "unlink", "mkdir"):
        return Call(name, texts[0].decode(), data=texts[-1])
    return _on_handle(name, int(handle[1]), handle[2], texts, numbers, result) if handle else None


def _on_handle(name: str, handle: int, path_text: str, texts: list[bytes], numbers: list[int], result: int) -> Call:
    """Read a call on an open file."""
    path = bytes.fromhex(path_text.replace(r"\x", "")).decode()
    if name in ("write", "pwrite64"):
        at = numbers[-1] if name == "pwrite64" else -1
        return Call(name, path, texts[0][:result], at, handle)
    if name in ("fsync", "fdatasync"):
        return Call(name, path)
    assert name in ("ftruncate", "fallocate"), f"{name} is not understood"
    return Call(name, path, at=numbers[-1])


@dataclass(slots=True)
class _File:
    synced: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)  # offset and data; length and None

    def content(self, draw: random.Random | None) -> bytes:
        """Return what a disk may hold: all for no ``draw``, else some of the writes."""
        data = bytearray(self.synced)
        for at, written in self.pending:
            if draw is None or draw.random() < 0.5:
                torn = None if draw is None or draw.random() < 0.7 else SECTOR * draw.randrange(9)
                _apply(data, at, written if written is None else written[:torn])
        return bytes(data)


def _apply(data: bytearray, at: int, written: bytes | None) -> None:
    if written is None:
        del data[at:]
        data.extend(bytes(at - len(data)))
    elif written:
        data.extend(bytes(max(0, at - len(data))))
        data[at : at + len(written)] = written


class Disk:
    """A folder as a disk holds it: give it calls, then ask what may be there after a cut.

    Args:
        root: The folder, as the calls name it; other paths are passed over.
    """

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._names: dict[str, _File | None] = {self._root: None}  # as programs see it; None for folders
        self._kept: dict[str, _File | None] = {self._root: None}  # as a disk holds it
        self._changes: list[tuple[str, str, _File | None, bool]] = []  # folder, path, what, is it there
        self._open: dict[int, tuple[_File, int]] = {}

    def feed(self, call: Call) -> bool:
        """Take a call; say whether it was about the folder."""
        if call.name == "openat" and call.handle in self._open:
            del self._open[call.handle]
        if not call.path.startswith(self._root):
            return False
        getattr(self, f"_{call.name}")(call)
        return call.name != "openat" or call.is_new

    def after_cut(self, draw: random.Random | None, *, has_unsynced: bool) -> dict[str, bytes | None]:
        """Return files and folders by path below the folder.

        Args:
            draw: Chooses what of the unsynced is there; None for all or nothing of it.
            has_unsynced: With ``draw`` None: all that was written is there, as after a kill.
        """
        names = dict(self._kept)
        n_changes = len(self._changes) if has_unsynced else 0
        if draw is not None:
            n_changes = draw.randrange(len(self._changes) + 1)
        for _, path, what, is_there in self._changes[:n_changes]:
            if is_there:
                names[path] = what
            else:
                names.pop(path, None)
        found: dict[str, bytes | None] = {}
        for path, file in names.items():
            is_partial = draw is not None or has_unsynced
            content = None if file is None else file.content(draw) if is_partial else bytes(file.synced)
            found[path.removeprefix(self._root).lstrip("/")] = content
        return found

    def _openat(self, call: Call) -> None:
        file = self._names.get(call.path)
        if file is None and call.is_new:
            file = _File()
            self._change(call.path, file, is_there=True)
        if file is not None:
            if call.at == 0:
                file.pending.append((0, None))
            self._open[call.handle] = (file, 0)

    def _write(self, call: Call) -> None:
        file, at = self._open[call.handle]
        file.pending.append((at, call.data))
        self._open[call.handle] = (file, at + len(call.data))

    def _pwrite64(self, call: Call) -> None:
        self._file(call).pending.append((call.at, call.data))

    def _ftruncate(self, call: Call) -> None:
        self._file(call).pending.append((call.at, None))

    def _fallocate(self, call: Call) -> None:
        self._file(call).pending.append((call.at, None))

    def _fsync(self, call: Call) -> None:
        file = self._names.get(call.path)
        if file is None:
            for folder, path, what, is_there in self._changes:
                if folder == call.path and is_there:
                    self._kept[path] = what
                elif folder == call.path:
                    self._kept.pop(path, None)
            self._changes = [change for change in self._changes if change[0] != call.path]
            return
        for at, data in file.pending:
            _apply(file.synced, at, data)
        file.pending.clear()

    _fdatasync = _fsync

    def _mkdir(self, call: Call) -> None:
        self._change(call.path, None, is_there=True)

    def _unlink(self, call: Call) -> None:
        self._change(call.path, self._names[call.path], is_there=False)

    def _rename(self, call: Call) -> None:
        file = self._names[call.path]
        self._change(call.path, file, is_there=False)
        self._change(call.data.decode(), file, is_there=True)

    def _file(self, call: Call) -> _File:
        file = self._names[call.path]
        assert file is not None
        return file

    def _change(self, path: str, what: _File | None, *, is_there: bool) -> None:
        if is_there:
            self._names[path] = what
        else:
            del self._names[path]
        self._changes.append((path.rpartition("/")[0], path, what, is_there))


def put(folder: Path, found: dict[str, bytes | None]) -> None:
    """Make a folder what a disk holds; what lies in folders that are not there is lost."""
    for path, content in sorted(found.items()):
        target = folder / path
        if content is None:
            target.mkdir(exist_ok=True)
        elif target.parent.is_dir():
            target.write_bytes(content)
