"""The examples in every command's help parse, and their facts are in the demo."""

import re
import shlex
from inspect import signature

import pytest
from typer.main import get_command

from example_lines import parse, value
from kndb_cli.demo.command import demo
from kndb_cli.main import application
from kndb_ingest.datasets import read_dataset
from kndb_ingest.demo import facts_path
from kndb_ingest.request import IngestRequest

PROGRAM = get_command(application([]))
LIMIT = signature(demo).parameters["limit"].default


def described(command, path="kndb"):
    """Every command's path, its help, and the help of its options."""
    yield path, "\n".join([command.help or "", *(param.help or "" for param in command.params)])
    for name, each in getattr(command, "commands", {}).items():
        yield from described(each, f"{path} {name}")


HELP = dict(described(PROGRAM))
EXAMPLES = [line for text in HELP.values() for line in text.splitlines() if line[:5] == "kndb "]


def demo_prompts():
    """What ``kndb demo`` ingests."""
    return read_dataset(facts_path(), limit=LIMIT, seed=IngestRequest.seed).prompts


@pytest.fixture(scope="module")
def prompts():
    found = demo_prompts()
    assert len({prompt.fact.key for prompt in found}) == LIMIT == 40
    return found


def test_most_commands_have_examples():
    assert len(EXAMPLES) > 30


@pytest.mark.parametrize("line", EXAMPLES)
def test_an_example_parses(line):
    parse(PROGRAM, line)


@pytest.mark.parametrize("path", HELP)
def test_commands_named_in_words_parse(path):
    for line in re.findall(r"'(kndb [^']+ -[^']+)'", " ".join(HELP[path].split())):
        parse(PROGRAM, line)


@pytest.mark.parametrize("line", ["kndb query --fat x", "kndb edit appply", "kndb factcheck -z"])
def test_a_wrong_line_does_not_parse(line):
    with pytest.raises(Exception, match="No such"):
        parse(PROGRAM, line)


def test_the_facts_of_examples_are_in_the_demo(prompts):
    known = {prompt.fact.key for prompt in prompts}
    known |= {name for prompt in prompts for name in (prompt.subject, prompt.text)}
    named = {line: value(line, "--fact") for line in EXAMPLES if value(line, "--fact")}
    assert len(named) > 5
    assert [line for line, fact in named.items() if fact not in known] == []


def test_the_answers_of_examples_are_in_the_demo(prompts):
    answers = {prompt.answer for prompt in prompts}
    named = [value(line, option) for line in EXAMPLES for option in ("--target", "--answer")]
    assert len(set(named)) > 1
    assert set(named) - {None} <= answers


def test_the_claims_of_examples_are_in_the_demo(prompts):
    true = {prompt.text.replace("[MASK]", prompt.answer) for prompt in prompts}
    claims = [word for line in EXAMPLES for word in shlex.split(line) if word.endswith(".")]
    assert claims
    assert set(claims) - {prompt.text for prompt in prompts} <= true


def test_the_keys_in_every_help_are_in_the_demo(prompts):
    keys = {key for text in HELP.values() for key in re.findall(r"P\d+:Q\d+", text)}
    assert keys
    assert keys <= {prompt.fact.key for prompt in prompts}


def test_an_example_about_the_demos_two_runs_says_which():
    """The examples of commands that need a single run."""
    graph = "graph (degenerate|export|groups|measures|plot)"
    one_run = re.compile(rf"kndb (edit --|factcheck|evaluate|{graph})")
    lines = [line for line in EXAMPLES if one_run.match(line)]
    assert len(lines) > 8
    assert [line for line in lines if not value(line, "--model")] == []
