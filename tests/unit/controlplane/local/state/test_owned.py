"""Whose a folder is, who can change the way to it, and what is removed of it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from linkerd2_py.controlplane.local.state import owned
from linkerd2_py.controlplane.local.state.owned import MARK, StateError
from tests.support.privileges import NOBODY, need_root


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_of_ours_is_made_found_again_and_removed(tmp_path: Path) -> None:
    folder = tmp_path / "identity"
    before = os.umask(0o077)
    try:
        owned.make(folder, mode=0o711)
    finally:
        os.umask(before)
    assert mode(folder) == 0o711
    folder.chmod(0o700)
    owned.make(folder, mode=0o711)
    assert mode(folder) == 0o700
    (folder / "web-0").mkdir()
    (folder / "web-0" / "token").touch()
    for _ in range(2):
        owned.remove(folder)
        assert not folder.exists()


def test_a_file_that_a_person_put_there_survives_with_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "identity"
    owned.make(folder)
    (folder / "web-0").mkdir()
    (folder / "issuer.key").write_text("precious")
    owned.remove(folder)
    assert {path.name for path in folder.iterdir()} == {MARK, "issuer.key"}
    owned.make(folder)


def test_a_folder_without_our_mark_is_neither_taken_nor_removed(tmp_path: Path) -> None:
    folder = tmp_path / "identity"
    (folder / "keys").mkdir(parents=True)
    owned.remove(folder)
    with pytest.raises(StateError, match="identity was not made by a local mesh: move it away"):
        owned.make(folder)
    assert [path.name for path in folder.iterdir()] == ["keys"]


@pytest.mark.parametrize("make_mark", [Path.mkdir, lambda mark: mark.symlink_to("/etc/passwd")])
def test_a_mark_is_a_file(tmp_path: Path, make_mark: object) -> None:
    (tmp_path / "keys").mkdir()
    make_mark(tmp_path / MARK)  # type: ignore[operator]
    owned.remove(tmp_path)
    assert (tmp_path / "keys").exists()


def test_no_link_is_followed(tmp_path: Path) -> None:
    """To a folder that is ours, and to a file."""
    real, link = tmp_path / "real", tmp_path / "link"
    owned.make(real)
    (real / "web-0").mkdir()
    link.symlink_to(real)
    owned.remove(link)
    assert (real / "web-0").exists()
    with pytest.raises(StateError, match="is not a folder"):
        owned.make(link)
    with pytest.raises(StateError, match="is not a folder"):
        owned.check_own(link)
    victim = tmp_path / "victim"
    victim.write_text("do not touch")
    (tmp_path / "log").symlink_to(victim)
    with pytest.raises(StateError, match="is a symbolic link"):
        owned.open_file(tmp_path / "log", os.O_WRONLY | os.O_TRUNC | os.O_CREAT)
    assert victim.read_text() == "do not touch"


def test_a_pipe_is_no_file_and_nobody_waits_for_its_reader(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    with pytest.raises(StateError, match="is not a file of this user's"):
        owned.open_file(tmp_path / "log", os.O_RDWR)


def test_what_another_user_made_is_not_ours(tmp_path: Path) -> None:
    need_root()
    folder = tmp_path / "identity"
    owned.make(folder)
    (folder / "keys").mkdir()
    for path in (folder / MARK, folder):
        os.chown(path, NOBODY, NOBODY)
        owned.remove(folder)
        assert (folder / "keys").exists()
    with pytest.raises(StateError, match="was not made by a local mesh"):
        owned.make(folder)
    log = tmp_path / "log"
    log.write_text("theirs")
    os.chown(log, NOBODY, NOBODY)
    with pytest.raises(StateError, match="is not a file of this user's"):
        owned.open_file(log, os.O_WRONLY)


@pytest.mark.parametrize("writable", [0o757, 0o777])
def test_a_way_that_others_can_change_is_refused_and_a_sticky_one_is_not(
    tmp_path: Path, writable: int
) -> None:
    between = tmp_path / "between"
    between.mkdir()
    between.chmod(writable)
    with pytest.raises(StateError, match=r"others may write in .*between"):
        owned.check_way(between / "state")
    between.chmod(writable | stat.S_ISVTX)
    owned.check_way(between / "state")


def test_a_group_that_may_write_is_root_s_or_our_own(tmp_path: Path) -> None:
    need_root()
    tmp_path.chmod(0o775)
    owned.check_way(tmp_path)
    os.chown(tmp_path, 0, NOBODY)
    with pytest.raises(StateError, match="others may write in"):
        owned.check_way(tmp_path)


def test_links_on_the_way_are_followed_as_far_as_nobody_else_can_turn_them(tmp_path: Path) -> None:
    need_root()
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    for folder in (theirs, ours):
        folder.mkdir()
    os.chown(theirs, NOBODY, NOBODY)
    (tmp_path / "good").symlink_to("ours")
    owned.check_way(tmp_path / "good" / "state")
    (tmp_path / "bad").symlink_to("theirs/../ours")
    with pytest.raises(StateError, match="theirs belongs to"):
        owned.check_way(tmp_path / "bad" / "state")
    (tmp_path / "stolen").symlink_to("ours")
    os.chown(tmp_path / "stolen", NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(StateError, match="stolen belongs to"):
        owned.check_way(tmp_path / "stolen" / "state")
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(StateError, match="too many symbolic links"):
        owned.check_way(tmp_path / "round" / "state")


def test_a_way_is_made_closed_to_others_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        owned.make_way(tmp_path / "a" / "b" / "state")
    finally:
        os.umask(before)
    assert mode(tmp_path / "a") == mode(tmp_path / "a" / "b") == 0o755
    assert not (tmp_path / "a" / "b" / "state").exists()
