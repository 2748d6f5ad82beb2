"""Files: what is read is checked first, what is written appears whole or not at all, and a folder has one owner at a time.

Each function takes the class of error that its caller raises; a message is one line that begins with the path.
"""

import contextlib
import errno
import fcntl
import hashlib
import io
import json
import os
import re
import secrets
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

#: Locks of this process: path -> the thread that has it.
_held: dict[str, int] = {}

#: Makes an error of a line.
Error = Callable[[str], Exception]

#: How the name of a file ends that isn't finished: .NAME.8 hexadecimal digits.unfinished
UNFINISHED = "unfinished"

#: Name of a lock in the folder that it is for.
LOCK = ".lock"

#: Names of a training run's own files: only who owns their folder writes them.
OF_A_RUN = r"weights[.]safetensors|epoch-\d+[.]safetensors|metrics[.]csv|epochs[.]csv|board[.]json|learning-curve[.]png"

#: How a PNG file begins.
PNG = b"\x89PNG\r\n\x1a\n"

#: Bytes of a file whose digest is taken, at most: more than any that this project makes, and done in seconds.
MAX_DIGESTED = 1 << 30

#: Characters of a command line in a message.
COMMAND_SHOWN = 100

#: What a filesystem says that knows no locks, or can't sync a folder.
UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


def opened(path: Path) -> io.BufferedReader:
    """A file to be read; OSError for anything else, such as a device or a pipe, which isn't even opened."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "is no file", str(path))
    # not held up by what takes its place now
    return open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")  # noqa: PTH123


def read(path: Path, most: int, error: Error) -> bytes:
    """The content of a file of `most` bytes at most."""
    try:
        with opened(Path(path)) as stream:
            if (size := os.fstat(stream.fileno()).st_size) > most:
                raise error(f"{path} has {size} bytes; at most {most} are read")
            content = stream.read(most + 1)
    except OSError as why:
        raise error(f"{path}: {why.strerror}") from None
    except ValueError as why:  # such as a null byte in its name
        raise error(f"{str(path)!r}: {why}") from None
    if len(content) > most:
        raise error(f"{path} grew to more than {most} bytes while it was read")
    return content


def digest(path: Path) -> str:
    """SHA-256 of a file of `MAX_DIGESTED` bytes at most; OSError for a larger one, and for what is no file."""
    with opened(path) as stream:
        if os.fstat(stream.fileno()).st_size > MAX_DIGESTED:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_text(path: Path, most: int, error: Error) -> str:
    """The same as text."""
    try:
        return read(path, most, error).decode()
    except UnicodeDecodeError as why:
        raise error(f"{path} is damaged: byte {why.start} isn't UTF-8") from None


def read_json(path: Path, most: int, error: Error) -> dict[str, Any]:
    """An object of JSON whose numbers are finite, and whose texts a terminal only prints."""
    try:
        found = json.loads(read_text(path, most, error), parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as why:
        raise error(f"{path} is damaged: {why or 'nested too deeply'}") from None
    if not isinstance(found, dict):
        raise error(f"{path} is damaged: no JSON object")
    if not _printable(found):
        raise error(f"{path} is damaged: it has control characters")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _finite(text: str) -> float:
    if (value := float(text)) in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:20]} is too large")
    return value


def _printable(value: Any) -> bool:
    """Whether no text in decoded JSON tells a terminal to do anything."""
    if isinstance(value, str):
        return value.isprintable()
    if isinstance(value, dict):
        return all(key.isprintable() and _printable(item) for key, item in value.items())
    return not isinstance(value, list) or all(map(_printable, value))


def check_replaceable(path: Path, begins: bytes = b"") -> None:
    """OSError unless `path` is free, or a regular file that is empty or begins so; no device, pipe, folder or link is
    replaced, nor a training run's own file but by the run."""
    if re.fullmatch(OF_A_RUN, path.name) and _held.get(os.path.realpath(path.parent / LOCK)) != threading.get_ident():
        raise OSError(errno.EPERM, "is the name of a training run's own file: take another", str(path))
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise OSError(errno.EEXIST, "is no ordinary file, and isn't replaced", str(path))
    if begins:
        with opened(path) as stream:
            head = stream.read(len(begins))
        if head not in (b"", begins):
            raise OSError(errno.EEXIST, f"begins with {head!r}, not with {begins!r}: it isn't replaced", str(path))


@contextlib.contextmanager
def atomic(path: Path, begins: bytes = b"") -> Iterator[Path]:
    """A temporary file beside `path` to write to. At the end it takes that name, and both are on the disk.

    So readers, and whoever comes after a power cut, find the old file or the whole new one. begins: how the new file begins,
    and the one that it may replace, as `check_replaceable` has it.
    """
    check_replaceable(path, begins)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.{UNFINISHED}")
    try:
        # a file of our own: no link that waits there is followed
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write(path: Path, content: str | bytes, alike: int = 0) -> None:
    """A whole file, as `atomic` has it; text as UTF-8. alike: so many bytes of a file that it replaces are the same."""
    data = content.encode() if isinstance(content, str) else content
    with atomic(path, data[:alike]) as temporary:
        temporary.write_bytes(data)


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Have a file's content, or a folder's names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as why:
        if why.errno not in UNSUPPORTED:
            raise
    finally:
        os.close(descriptor)


def remove_unfinished(folder: Path, names: str) -> None:
    """Remove what `atomic` left where its process was killed. names: a regular expression of the files that it was for.

    Only the folder's owner may.
    """
    form = re.compile(rf"\.({names})\.[0-9a-f]{{8}}\.{UNFINISHED}")
    for path in folder.iterdir():
        if form.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def owned(lock: Path, error: Error) -> Iterator[None]:
    """While entered, no other process is: its `error` names this one. The folder of the file `lock` has to be there.

    The kernel keeps the lock and lets go of it with the process, however that ends. The file is removed at the end. It may be
    entered again by the same thread. A filesystem without locks has no owners.
    """
    name, thread = os.path.realpath(lock), threading.get_ident()
    if _held.get(name) == thread:
        yield
        return
    descriptor = _locked(lock, error)
    _held[name] = thread
    try:
        yield
    finally:
        del _held[name]
        # before it is unlocked: whoever opened it meanwhile sees that it isn't the lock any more
        with contextlib.suppress(OSError):
            lock.unlink(missing_ok=True)
        os.close(descriptor)


def _locked(lock: Path, error: Error) -> int:
    """A descriptor that has the lock."""
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), lock.stat()):
                return descriptor
        except BlockingIOError:
            who = owner(descriptor)
            os.close(descriptor)
            raise error(f"{lock.parent} is in use by {who}: wait for it, or take another folder") from None
        except FileNotFoundError:
            pass
        except OSError as why:
            if why.errno in UNSUPPORTED:
                return descriptor
            os.close(descriptor)
            raise
        os.close(descriptor)


def owner(descriptor: int) -> str:
    """Who has a lock on an open file, in words."""
    status = os.fstat(descriptor)
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    with contextlib.suppress(OSError):
        for line in Path("/proc/locks").read_text().splitlines():
            words = line.split()
            if words[1] == "FLOCK" and words[5] == place:
                command = " ".join(Path("/proc", words[4], "cmdline").read_bytes().decode(errors="replace").split("\0"))
                shown = " ".join(command.split())[:COMMAND_SHOWN]
                return f"process {words[4]}" + (f" ({shown})" if shown else "")
    return "another process"


def _forget() -> None:
    """A forked process has none of its parent's locks."""
    _held.clear()


os.register_at_fork(after_in_child=_forget)
