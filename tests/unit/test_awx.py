# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""extensions/awx against what AWX asks of a survey, and against the roles that its answers go to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.vtops.vitess.plugins.module_utils.arguments import cluster_spec, without_blanks
from ansible_collections.vtops.vitess.plugins.module_utils.operations import roll_plan

TOP = Path(__file__).parents[2]
AWX = TOP / "extensions/awx"
PLAYBOOKS = ("plan", "rolling_upgrade", "resize", "rollback", "abort", "report")
# awx/main/models/mixins.py: an answer of each type must be of these, or the launch is refused.
ANSWERS = {
    "text": (str,),
    "textarea": (str,),
    "integer": (int,),
    "float": (float, int),
    "multiplechoice": (str,),
}
# Which question may ask for a variable of which type.
ASKS = {
    "str": {"text", "textarea", "multiplechoice"},
    "int": {"integer"},
    "float": {"float", "integer"},
    "bool": {"multiplechoice"},
    "list": {"text"},
    "dict": {"textarea"},
}


class Loader(yaml.SafeLoader):
    """Ansible's !unsafe is text."""


Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))  # type: ignore[no-untyped-call]


def read(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), Loader)


def options_of(role: str) -> dict[str, Any]:
    found: dict[str, Any] = read(TOP / f"roles/{role}/meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    return found


CONTROLLER: dict[str, Any] = read(AWX / "controller.yml")
TEMPLATES: dict[str, Any] = {template["name"]: template for template in CONTROLLER["controller_templates"]}
(WORKFLOW,) = CONTROLLER["controller_workflows"]
VARIABLES = {**options_of("rolling_upgrade"), **options_of("tablet_replace")}
DEFAULTS = {
    name: value
    for role in ("rolling_upgrade", "tablet_replace")
    for name, value in read(TOP / f"roles/{role}/defaults/main.yml").items()
}
ENDS = ("success", "failure", "always")
QUESTIONS = [
    pytest.param(question, id=f"{asker['name']}: {question['variable']}")
    for asker in (*TEMPLATES.values(), WORKFLOW)
    for question in asker["survey_spec"]["spec"]
]


def asked(asker: dict[str, Any]) -> list[str]:
    return [question["variable"] for question in asker["survey_spec"]["spec"]]


def as_a_role_takes_it(variable: str, answer: Any) -> Any:
    """What the validation of the role's arguments makes of it. Fails where it refuses it."""
    kept = {"type", "elements", "choices"}
    spec = {variable: {key: value for key, value in VARIABLES[variable].items() if key in kept}}
    validated = ArgumentSpecValidator(spec).validate({variable: answer})
    assert validated.error_messages == []
    return validated.validated_parameters[variable]


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_one_that_awx_takes(question: dict[str, Any]) -> None:
    assert {"question_name", "variable", "type", "required", "default"} <= set(question)
    default = question["default"]
    assert type(default) in ANSWERS[question["type"]]
    if question["type"] == "multiplechoice":
        assert default in question["choices"]
        assert all(isinstance(choice, str) for choice in question["choices"])
    if "min" in question:
        assert (len(default) if isinstance(default, str) else default) >= question["min"]
    # An answer that is left blank arrives as an empty text where it is text; no number, choice or JSON can be that.
    assert question["required"] is True or question["type"] == "text"


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_asks_for_a_variable_of_the_roles_and_as_they_take_it(question: dict[str, Any]) -> None:
    variable = question["variable"]
    option = VARIABLES[variable]
    assert question["type"] in ASKS[option.get("type", "str")]
    if "choices" in option:
        assert question["choices"] == option["choices"]
    for choice in question.get("choices", []):
        as_a_role_takes_it(variable, choice)
    taken = as_a_role_takes_it(variable, question["default"])
    usual = as_a_role_takes_it(variable, DEFAULTS[variable])
    blank = [] if option.get("type") == "list" else taken
    assert (blank if taken == [""] else taken) == usual


def test_lists_and_dicts_come_as_text_and_arrive_as_what_they_are() -> None:
    name = "rolling_upgrade_accept_drained"
    assert as_a_role_takes_it(name, "") == [""]
    for text, expected in {"": [], " ": [], "a": ["a"], "a, b ,": ["a", "b"]}.items():
        params = {"accept_drained": as_a_role_takes_it(name, text), "tablets": [""], "rolls": None}
        assert without_blanks(params) == {"accept_drained": expected, "tablets": [""], "rolls": None}
    assert as_a_role_takes_it("rolling_upgrade_override_gates", '{"a": "b, c=d"}') == {"a": "b, c=d"}


def test_each_playbook_that_a_template_names_is_in_the_project_and_imports_one_of_the_collection() -> None:
    assert sorted(template["playbook"] for template in TEMPLATES.values()) == sorted(f"{n}.yml" for n in PLAYBOOKS)
    assert {path.stem for path in (AWX / "project").glob("*.yml")} == {*PLAYBOOKS, "fleet.vitess"}
    for name in PLAYBOOKS:
        assert (TOP / f"playbooks/{name}.yml").exists()
        ((play),) = read(AWX / f"project/{name}.yml")
        assert play["ansible.builtin.import_playbook"] == f"vtops.vitess.{name}"


def test_every_template_runs_with_both_credentials_on_the_fleets_inventory() -> None:
    credentials = {credential["name"] for credential in CONTROLLER["controller_credentials"]}
    (environment,) = CONTROLLER["controller_execution_environments"]
    (project,) = CONTROLLER["controller_projects"]
    (inventory,) = CONTROLLER["controller_inventories"]
    (source,) = CONTROLLER["controller_inventory_sources"]
    for template in TEMPLATES.values():
        assert set(template["credentials"]) == credentials
        assert template["inventory"] == inventory["name"] == source["inventory"]
        assert template["project"] == project["name"] == source["source_project"]
        assert template["execution_environment"] == environment["name"] == source["execution_environment"]
        assert template["ask_limit_on_launch"]
        assert template["survey_enabled"]
        # One at a time, whole: the claim would refuse the second, a slice must be told of the others.
        assert not {"allow_simultaneous", "job_slice_count"} & set(template)
    assert source["credential"] in credentials
    assert (AWX / "project" / source["source_path"]).exists()
    assert read(AWX / "project" / source["source_path"])["plugin"] == "vtops.vitess.fleet"


def test_the_credential_type_sets_what_the_modules_read() -> None:
    (kind,) = CONTROLLER["controller_credential_types"]
    read_by = {variable for option in cluster_spec().values() for variable in option.get("fallback", (None, []))[1]}
    assert set(kind["injectors"]["env"]) == {"VTGATE_USER", "VTGATE_PASSWORD"} <= read_by
    fields = {field["id"]: field for field in kind["inputs"]["fields"]}
    assert fields["password"]["secret"] is True
    injected = {name for text in kind["injectors"]["env"].values() for name in re.findall(r"\{\{ (\w+) \}\}", text)}
    assert injected == set(fields) == set(kind["inputs"]["required"])
    # awx/main/models/credential/injectors.py: kubernetes_bearer_token
    assert {"K8S_AUTH_HOST", "K8S_AUTH_API_KEY", "K8S_AUTH_VERIFY_SSL", "K8S_AUTH_SSL_CA_CERT"} <= read_by


def test_no_secret_stands_in_the_configuration() -> None:
    for credential in CONTROLLER["controller_credentials"]:
        for name, value in credential["inputs"].items():
            if name in ("bearer_token", "password"):
                variable = re.fullmatch(r"\{\{ (\w+) \}\}", value)
                assert variable is not None
                assert CONTROLLER[variable[1]].startswith("{{ undef(")


def test_a_plan_its_roll_and_their_workflow_are_asked_the_same() -> None:
    """What the plan was approved with is compared, so a default of one template must be the other's too."""
    decided = {f"rolling_upgrade_{name}" for name in (*roll_plan.DECIDING, "hold_before_reparent")}
    for asker in (TEMPLATES["vtops plan"], TEMPLATES["vtops rolling_upgrade"], WORKFLOW):
        assert decided <= set(asked(asker))
    of_plan, of_roll = (
        {q["variable"]: q for q in TEMPLATES[name]["survey_spec"]["spec"]}
        for name in ("vtops plan", "vtops rolling_upgrade")
    )
    assert all(of_plan[name] == of_roll[name] for name in of_plan)


def test_the_workflow_waits_for_approval_and_reports_whatever_became_of_the_roll() -> None:
    nodes = {node["identifier"]: node for node in WORKFLOW["workflow_nodes"]}
    assert {name: node["unified_job_template"]["type"] for name, node in nodes.items()} == {
        "plan": "job_template",
        "approval": "workflow_approval",
        "roll": "job_template",
        "report": "job_template",
    }
    follows = {
        name: {kind: [to["identifier"] for to in node["related"][f"{kind}_nodes"]] for kind in ENDS}
        for name, node in nodes.items()
    }
    assert follows == {
        "plan": {"success": ["approval"], "failure": [], "always": []},
        "approval": {"success": ["roll"], "failure": [], "always": []},
        "roll": {"success": [], "failure": [], "always": ["report"]},
        "report": {"success": [], "failure": [], "always": []},
    }
    run = {name: node["unified_job_template"]["name"] for name, node in nodes.items() if name != "approval"}
    assert run == {"plan": "vtops plan", "roll": "vtops rolling_upgrade", "report": "vtops report"}
    assert set(run.values()) <= set(TEMPLATES)


def test_nothing_is_asked_that_would_hide_the_artifact() -> None:
    """An artifact wins over the default of a template's survey, and not over what the workflow itself was asked."""
    for asker in (*TEMPLATES.values(), WORKFLOW):
        assert not {"rolling_upgrade_plan", "rolling_upgrade_plan_hash"} & set(asked(asker))
        assert not {"rolling_upgrade_plan"} & set(asker.get("extra_vars", {}))
