from multiretriever.training.callbacks import MarkComplete, newest_checkpoint


def checkpoint(folder, step, *, complete):
    path = folder / f"checkpoint-{step}"
    path.mkdir()
    (path / "model.safetensors").write_bytes(b"weights")
    if complete:
        arguments = type("Arguments", (), {"output_dir": str(folder)})()
        state = type("State", (), {"global_step": step, "is_world_process_zero": True})()
        MarkComplete().on_save(arguments, state, None)
    return path


def test_the_newest_of_the_complete_ones_is_taken(tmp_path):
    checkpoint(tmp_path, 90, complete=True)
    newest = checkpoint(tmp_path, 100, complete=True)
    assert newest_checkpoint(tmp_path) == newest


def test_what_a_kill_left_unfinished_is_removed_and_the_one_before_it_taken(tmp_path):
    before = checkpoint(tmp_path, 100, complete=True)
    unfinished = checkpoint(tmp_path, 200, complete=False)
    assert newest_checkpoint(tmp_path) == before
    assert not unfinished.exists()


def test_without_any_there_is_none(tmp_path):
    (tmp_path / "checkpoint-of-mine").mkdir()
    assert newest_checkpoint(tmp_path) is None
    assert (tmp_path / "checkpoint-of-mine").is_dir()
