"""Files: checked reading, atomic writing, and folders with one owner at a time.

Functions that take an `Error` raise it with a message of one line that begins with the path.
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

#: Locks that this process holds: path -> id of the thread.
_held: dict[str, int] = {}

#: Returns an exception with the given one-line message.
Error = Callable[[str], Exception]

#: Suffix of an unfinished file, whose name is .NAME.8 hexadecimal digits.unfinished
UNFINISHED = "unfinished"

#: Name of the lock file in an owned folder.
LOCK = ".lock"

#: Names of a training run's own files, which only the owner of their folder writes.
OF_A_RUN = (
    r"weights[.]safetensors|epoch-\d+[.]safetensors|metrics[.]csv|epochs[.]csv|board[.]json|"
    r"learning-curve[.]png"
)

#: First bytes of a PNG file.
PNG = b"\x89PNG\r\n\x1a\n"

#: Maximum size in bytes of a file for `digest`: larger than any that this project makes, and read in seconds.
MAX_DIGESTED = 1 << 30

#: Maximum number of characters of a command line in a message.
COMMAND_SHOWN = 100

#: Errors of a filesystem without locks, or that can't sync a folder.
UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


def opened(path: Path) -> io.BufferedReader:
    """Open a regular file for reading; OSError for anything else, such as a device, before it is opened."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "is no file", str(path))
    # O_NONBLOCK: a pipe that replaces the file after the check can't block the call
    return open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")  # noqa: PTH123


def read(path: Path, most: int, error: Error) -> bytes:
    """Return the content of a file of at most `most` bytes; `error` for a larger file or a failure."""
    try:
        with opened(Path(path)) as stream:
            if (size := os.fstat(stream.fileno()).st_size) > most:
                raise error(f"{path} has {size} bytes; at most {most} are read")
            content = stream.read(most + 1)
    except OSError as why:
        raise error(f"{path}: {why.strerror}") from None
    except ValueError as why:  # such as a null byte in the path
        raise error(f"{str(path)!r}: {why}") from None
    if len(content) > most:
        raise error(f"{path} grew to more than {most} bytes while it was read")
    return content


def digest(path: Path) -> str:
    """Return a file's SHA-256; OSError if it is larger than `MAX_DIGESTED` or not a regular file."""
    with opened(path) as stream:
        if os.fstat(stream.fileno()).st_size > MAX_DIGESTED:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_text(path: Path, most: int, error: Error) -> str:
    """Return the content of a file as `read` does, decoded from UTF-8."""
    try:
        return read(path, most, error).decode()
    except UnicodeDecodeError as why:
        raise error(f"{path} is damaged: byte {why.start} isn't UTF-8") from None


def read_json(path: Path, most: int, error: Error) -> dict[str, Any]:
    """Return the JSON object of a file; `error` unless all numbers are finite and all texts printable."""
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
    """Return whether no text in decoded JSON has control characters, which a terminal would obey."""
    if isinstance(value, str):
        return value.isprintable()
    if isinstance(value, dict):
        return all(key.isprintable() and _printable(item) for key, item in value.items())
    return not isinstance(value, list) or all(map(_printable, value))


def check_replaceable(path: Path, begins: bytes = b"") -> None:
    """Raise OSError unless `path` is free, or a regular file that is empty or starts with `begins`.

    Devices, pipes, folders and links are never replaced, and a training run's own files only by the run.
    """
    if (
        re.fullmatch(OF_A_RUN, path.name)
        and _held.get(os.path.realpath(path.parent / LOCK)) != threading.get_ident()
    ):
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
            raise OSError(
                errno.EEXIST, f"begins with {head!r}, not with {begins!r}: it isn't replaced", str(path)
            )


@contextlib.contextmanager
def atomic(path: Path, begins: bytes = b"") -> Iterator[Path]:
    """Yield a temporary file beside `path` to write to; at the end it is renamed to `path`, and both synced.

    So readers find the old file or the complete new one, even after a power cut. begins: first bytes of the
    new file, and of a file that it may replace (`check_replaceable`).
    """
    check_replaceable(path, begins)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.{UNFINISHED}")
    try:
        # O_EXCL: a new file, never an existing one or the target of a link
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write(path: Path, content: str | bytes, alike: int = 0) -> None:
    """Write a file by `atomic`; text as UTF-8. alike: length of `begins`, the first bytes of the content."""
    data = content.encode() if isinstance(content, str) else content
    with atomic(path, data[:alike]) as temporary:
        temporary.write_bytes(data)


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with its contents, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Flush a file's content, or a folder's entries, to the disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as why:
        if why.errno not in UNSUPPORTED:
            raise
    finally:
        os.close(descriptor)


def remove_unfinished(folder: Path, names: str) -> None:
    """Remove the temporary files that `atomic` leaves if its process is killed. Only for the folder's owner.

    names: regular expression for the names of the files that were being written.
    """
    form = re.compile(rf"\.({names})\.[0-9a-f]{{8}}\.{UNFINISHED}")
    for path in folder.iterdir():
        if form.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def owned(lock: Path, error: Error) -> Iterator[None]:
    """Hold the lock file `lock` within the context; `error` names the process that holds it already.

    The folder of `lock` must exist. The kernel releases the lock when the process ends, in whatever way. The
    file is removed at the end. The same thread may enter again. On a filesystem without locks nothing is
    excluded.
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
        # removed before it is unlocked: whoever has opened it meanwhile sees that it is no longer the lock
        with contextlib.suppress(OSError):
            lock.unlink(missing_ok=True)
        os.close(descriptor)


def _locked(lock: Path, error: Error) -> int:
    """Return a descriptor that holds the lock; `error` if another process has it."""
    while True:
        descriptor = os.open(
            lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666
        )
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
    """Return the process that holds a lock on an open file, in words: "process 123 (command line)"."""
    status = os.fstat(descriptor)
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    with contextlib.suppress(OSError):
        for line in Path("/proc/locks").read_text().splitlines():
            words = line.split()
            if words[1] == "FLOCK" and words[5] == place:
                command = " ".join(
                    Path("/proc", words[4], "cmdline").read_bytes().decode(errors="replace").split("\0")
                )
                shown = " ".join(command.split())[:COMMAND_SHOWN]
                return f"process {words[4]}" + (f" ({shown})" if shown else "")
    return "another process"


def _forget() -> None:
    """Forget the parent's locks in a forked process."""
    _held.clear()


os.register_at_fork(after_in_child=_forget)
