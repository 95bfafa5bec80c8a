from datasets import Dataset

from multiretriever.training.callbacks import LengthBatchSampler, MarkComplete, newest_checkpoint


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


def data(count=200):
    queries = ["x" * (1 + 7 * number % 50) for number in range(count)]
    return Dataset.from_dict({"query": queries, "positive": ["y"] * count, "label": list(range(count))})


def batches(epoch=0, seed=3, drop_last=False, count=200):
    sampler = LengthBatchSampler(data(count), 8, drop_last, seed=seed)
    sampler.set_epoch(epoch)
    return list(sampler)


def test_each_row_comes_once():
    assert sorted(row for batch in batches() for row in batch) == list(range(200))


def test_rows_of_a_batch_are_about_as_long_as_each_other():
    lengths = [[1 + 7 * row % 50 for row in batch] for batch in batches()]
    spread = sum(max(batch) - min(batch) for batch in lengths) / len(lengths)
    # Drawn by chance alone, eight of 50 lengths are about 39 apart.
    assert spread < 15


def test_seed_and_epoch_decide_the_batches():
    assert batches() == batches()
    assert batches() != batches(epoch=1)
    assert batches() != batches(seed=4)


def test_a_short_batch_is_dropped_where_that_is_asked_for():
    assert {len(batch) for batch in batches(drop_last=True, count=203)} == {8}
    assert len(LengthBatchSampler(data(203), 8, True)) == 25
    assert len(LengthBatchSampler(data(203), 8, False)) == len(batches(count=203)) == 26
