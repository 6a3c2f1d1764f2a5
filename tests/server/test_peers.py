"""The processes of one server, which ask each other by sockets in a folder."""

from pathlib import Path

from gradproof.server.supervision.peers import Peers


def test_the_folder_goes_with_the_last_process(tmp_path: Path) -> None:
    folder = tmp_path / "sockets"
    folder.mkdir()
    first, second = (Peers(str(folder), number, {"status": lambda: b""}) for number in (0, 1))
    assert sorted(path.name for path in folder.iterdir()) == ["0", "1"]
    first.close()
    assert second.ask("status") == {1: b""}
    second.close()
    assert not folder.exists()
