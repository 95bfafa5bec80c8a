import json


def test_from_catalog_to_hits_with_the_shipped_encoder(run):
    shipped = {"MULTIRETRIEVER_PLUGINS": ""}
    done = run("index", "catalog.yaml", env=shipped)
    assert done.returncode == 0, done.stderr
    done = run("search", "alert the person on duty", "--json", env=shipped)
    assert json.loads(done.stdout)["hits"][0]["id"] == "itsm.notify_on_call"
    assert done.stderr == ""
    done = run("ground", "buy a notebook for the new hire", "--type", "catalog_item=1", "--json", env=shipped)
    assert [hit["id"] for hit in json.loads(done.stdout)["hits"]["catalog_item"]] == ["itsm.laptop"]
    done = run("verify", "--json", env=shipped)
    assert json.loads(done.stdout)["ok"] is True
    assert run("status").returncode == 3  # the small encoder of the other tests is another one
