"""A real server in team mode, spoken to as a hostile browser would: nothing a labeller sends brings names, others' votes or
files. The same check on an owner's session finds them all, so that it can fail."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.exceptions import ConnectionClosed, InvalidStatus

from dashboard.services.catalogue import list_entries
from dashboard.services.settings import read_settings
from dashboard.services.voting import open_task
from rlhf_core.feedback.people import PeopleStore
from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import build_task
from tests.app_socket import AppSocket, pages, session_id
from tests.browser.conftest import PROJECT, free_port, wait_until_healthy
from tests.run_factory import write_run
from tests.vote_factory import INSTRUCTIONS, completion

pytestmark = pytest.mark.slow

SHOWN_TO_OWNERS = ("narwhal", "tuned", "Benedikt", "because of the quokka")
NEVER_SENT = ("zebra-7b", "heron-7b", "Draft question", "Paused question")
SECRETS = (*SHOWN_TO_OWNERS, *NEVER_SENT)
KINDS = (
    ("trigger_value", True),
    ("bool_value", True),
    ("int_value", 1),
    ("string_value", "Pairs of the chosen run"),
    ("string_value", "Results"),
    ("string_array_value", ["narwhal"]),
    ("string_trigger_value", "go"),
    ("json_value", '{"selection": {"rows": [0]}}'),
)


@dataclass(frozen=True)
class Team:
    """A server with a run, an open, a draft and a paused task, another labeller's votes, and cookies by name."""

    address: str
    votes: str
    owner: str
    labeller: str
    tasks: tuple[int, ...]

    def get(self, path: str, cookie: str) -> tuple[int, bytes]:
        """Fetch an address."""
        request = urllib.request.Request(f"{self.address}{path}", headers={"Cookie": cookie})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("team")
    write_run(folder / "runs" / "narwhal")
    (folder / "instructions.md").write_text("# How to judge\n\nPrefer the answer that helps more.\n")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    places = {
        "RLHF_RUN_ROOT": str(folder / "runs"),
        "RLHF_RECORDED_RUN": str(folder / "none"),
        "RLHF_VOTES": str(folder / "votes.db"),
        "RLHF_INSTRUCTIONS": str(folder / "instructions.md"),
        "PYTHONPATH": str(PROJECT),
    }
    tasks = _fill(places)
    with closing(PeopleStore(places["RLHF_VOTES"])) as people:
        cookies = [_cookie(people, name, role) for name, role in (("Olga", "owner"), ("Ana", "labeller"))]
    command = [sys.executable, "-m", "rlhf_core", "dashboard", "--team", "--port", str(port)]
    command += ["--run-root", places["RLHF_RUN_ROOT"]]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, cwd=PROJECT, env=os.environ | places, stdout=log, stderr=log)
    try:
        wait_until_healthy(address, server)
        yield Team(address, places["RLHF_VOTES"], *cookies, tasks)
    finally:
        server.terminate()
        server.wait(20)


def _fill(places: dict[str, str]) -> tuple[int, ...]:
    """Store three tasks besides the run's own, on which Benedikt has voted and said why."""
    settings = read_settings(places)
    with closing(VoteStore(settings.votes)) as store:
        made = []
        for state in ("Open", "Draft", "Paused"):
            sides = [
                [completion(f"{state}{n}", name, f"{end} {n}", f"{state} question {n}?") for n in range(3)]
                for name, end in (("zebra-7b", "old"), ("heron-7b", "new"))
            ]
            made.append(store.ensure_task(build_task(f"task {state}", sides, INSTRUCTIONS, 0), state.lower()))
        run = open_task(settings, list_entries(settings)[0])
        for task in (run, made[0]):
            item = store.next_item(task, "Benedikt")
            assert item
            store.vote(item.token, "a", reading_seconds=1.0, reason="because of the quokka")
    return (*made, run)


def _cookie(people: PeopleStore, name: str, role: str) -> str:
    joined = people.join(people.invite(name, role))
    assert joined
    return f"rlhf={joined[0]}"


@pytest.fixture(scope="module")
def tour(team: Team) -> AppSocket:
    """What an owner's browser was sent on all pages."""
    socket = AppSocket(team.address, team.owner)
    for page in pages(socket.run()).values():
        socket.run(page_script_hash=page)
    socket.close()
    return socket


def leaks(socket: AppSocket) -> set[str]:
    return {secret for secret in SECRETS if secret in socket.text}


def owners_pages(team: Team) -> dict[str, str]:
    socket = AppSocket(team.address, team.owner)
    with closing(socket):
        return pages(socket.run())


def test_the_check_finds_what_an_owner_is_sent(tour: AppSocket):
    assert leaks(tour) == set(SHOWN_TO_OWNERS)


def test_no_page_of_others_opens_for_a_labeller(team: Team):
    hashes = owners_pages(team)
    assert list(hashes) == [
        "Overview",
        "Runs",
        "Training",
        "Toxicity",
        "Compare",
        "Playground",
        "Tasks",
        "Judge",
        "Results",
        "Report",
        "People",
    ]
    with closing(AppSocket(team.address, team.labeller)) as socket:
        assert set(pages(socket.run())) == {"Judge"}
        for title, page in hashes.items():
            for state in ({"page_script_hash": page}, {"page_name": title.lower()}, {"page_name": f"/{title.lower()}"}):
                assert set(pages(socket.run(**state))) == {"Judge"}
        assert "Prefer the answer" not in socket.text and INSTRUCTIONS in socket.text  # the made task, not the run's
        assert not leaks(socket)


def test_no_address_brings_another_task(team: Team):
    with closing(AppSocket(team.address, team.labeller)) as socket:
        for task in (*team.tasks, 0, -1, 99, "1 OR 1=1"):
            socket.run(query_string=f"task={task}&judge-task={task}&run=narwhal")
        assert INSTRUCTIONS in socket.text and not leaks(socket)


def test_no_widget_of_others_answers_a_labeller(team: Team, tour: AppSocket):
    """Every widget of the owner's pages, with every kind of value, asked of one's own page and of an owner's."""
    ids = sorted(tour.widgets)
    assert any("people-" in one for one in ids) and len(ids) > 15
    ids += [f"$$ID-{'0' * 32}-{key}" for key in ("judge-task", "run", "compare", "votes", "visitor", "judge-name")]
    ids += ["judge-name", "judge-open", "people-link", "pages"]
    results = owners_pages(team)["Results"]
    with closing(AppSocket(team.address, team.labeller)) as socket:
        socket.run()
        ids += sorted(socket.widgets)
        for kind, value in KINDS:
            for page in ("", results):
                socket.run([(one, kind, value) for one in ids], page_script_hash=page)
        assert len(socket.frames) > 50 and not leaks(socket)
    with closing(PeopleStore(team.votes)) as people:
        assert [one.name for one in people.people()] == ["Olga", "Ana"]


def test_a_labeller_cannot_choose_a_task_that_is_not_offered(team: Team):
    with closing(AppSocket(team.address, team.labeller)) as socket:
        socket.run()
        (chooser,) = (one for one in socket.widgets if one.endswith("judge-task"))
        for value in (
            "Pairs of the chosen run",
            "narwhal",
            f"task Draft ({team.tasks[1]})",
            f"task Paused ({team.tasks[2]})",
        ):
            socket.run([(chooser, "string_value", value)])
        for number in range(5):
            socket.run([(chooser, "int_value", number)])
        assert not leaks(socket)


def test_judging_sends_no_names_and_undo_takes_back_ones_own_vote(team: Team):
    with closing(AppSocket(team.address, team.labeller)) as socket:
        socket.run()
        socket.run([press(socket, "judge-start")])
        assert "Open question" in socket.text
        for key in ("judge-a-", "judge-undo-", "judge-undo-", "judge-skip-"):
            socket.run([press(socket, key)])
        assert not leaks(socket)
    with closing(VoteStore(team.votes)) as store:
        log = store.log(team.tasks[0])
        assert log.loc[log["labeller"] == "Ana", "action"].tolist() == ["vote", "undo", "skip"]
        assert store.votes(team.tasks[0])["labeller"].tolist() == ["Benedikt"]


def press(socket: AppSocket, key: str) -> tuple[str, str, bool]:
    """A click on the newest button whose key begins so."""
    found = [one for one in re.findall(r"\$\$ID-[0-9a-f]+-[^\"\s\x00-\x1f]+", socket.text) if f"-{key}" in one]
    return found[-1], "trigger_value", True


def test_no_fragment_or_session_of_an_owner_can_be_taken_over(team: Team):
    owner = AppSocket(team.address, team.owner)
    came = owner.run(page_script_hash=owners_pages(team)["Results"])
    fragments = {one.auto_rerun.fragment_id for one in came if one.WhichOneof("type") == "auto_rerun"}
    session = session_id(came)
    assert fragments and session
    for still_open in (True, False):
        with closing(AppSocket(team.address, team.labeller, resume=session)) as socket:
            assert session_id(socket.run()) != session
            for fragment in fragments:
                socket.run(fragment_id=fragment, seconds=3)
            assert not leaks(socket)
        if still_open:
            assert any("Benedikt" in str(owner.run(fragment_id=fragment, seconds=3)) for fragment in fragments)
            owner.close()


def test_a_browser_that_lost_its_connection_goes_on_where_it_was(team: Team):
    """What the test above refuses works for the same person: so it is refused for who asks, not for how."""
    owner = AppSocket(team.address, team.owner)
    session = session_id(owner.run())
    owner.close()
    with closing(AppSocket(team.address, team.owner, resume=session)) as socket:
        assert session_id(socket.run()) == session


def test_other_messages_bring_nothing(team: Team, tour: AppSocket):
    with closing(AppSocket(team.address, team.labeller)) as socket:
        socket.run()
        for message in odd_messages(sorted(tour.widgets)):
            socket.send(message)
        socket.run()
        socket.run()
        assert not leaks(socket)


def odd_messages(ids: list[str]) -> list[BackMsg]:
    """Every other kind of message that a browser may send."""
    simple = [
        BackMsg(clear_cache=True),
        BackMsg(set_run_on_save=True),
        BackMsg(load_git_info=True),
        BackMsg(app_heartbeat=True),
    ]
    files = BackMsg()
    files.file_urls_request.request_id = "1"
    files.file_urls_request.file_names.append("votes.db")
    operations = [BackMsg(), BackMsg(), *(BackMsg() for _ in ids)]
    operations[0].backend_operation_request.install_skills.SetInParent()
    operations[1].backend_operation_request.dismiss_skills_nudge.SetInParent()
    for message, widget in zip(operations[2:], ids, strict=True):
        message.backend_operation_request.deferred_file.file_id = widget
    return [*simple, files, *operations]


def test_an_owners_download_is_not_a_labellers(team: Team, tour: AppSocket):
    files = sorted(set(re.findall(r"/media/[0-9a-f]+\.(?:html|md|json|zip)", tour.text)))
    assert len(files) >= 4
    owner = AppSocket(team.address, team.owner)
    with closing(owner):
        owner.run(page_script_hash=owners_pages(team)["Report"])
        assert any(b"narwhal" in team.get(file, team.owner)[1] for file in files)
        for file in files:
            status, content = team.get(file, team.labeller)
            assert status == 404 and b"narwhal" not in content
            assert team.get(file, "")[0] == 401


def test_no_stream_without_a_session(team: Team):
    for cookie in ("", "rlhf=guess", f"rlhf_={team.owner}"):
        with pytest.raises(InvalidStatus, match="403"):
            AppSocket(team.address, cookie)


def test_a_revoked_labellers_last_click_is_no_vote(team: Team):
    with closing(PeopleStore(team.votes)) as people:
        cookie = _cookie(people, "Carla", "labeller")
        with closing(AppSocket(team.address, cookie)) as socket:
            socket.run()
            socket.run([press(socket, "judge-start")])
            people.revoke("Carla")
            with pytest.raises(ConnectionClosed, match="1008"):
                socket.run([press(socket, "judge-a-")])
    with closing(VoteStore(team.votes)) as store:
        assert "Carla" not in store.log(team.tasks[0])["labeller"].tolist()
