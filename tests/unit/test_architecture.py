# SPDX-License-Identifier: Apache-2.0
"""The rooms of the package know of each other only what they may, and each says what it offers."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAME = "airflow_provider_synthflow"
PACKAGE = ROOT / NAME
MODULES = sorted(PACKAGE.rglob("*.py"))
FLOORS = (
    {"exceptions", "timestamps"},
    {"client", "retry_policies", "storage", "window"},
    {"links", "observability", "output", "pagination", "parameters"},
    {"tables"},
    {"extraction", "recordings"},
    {"auditing", "hooks", "polling", "resume"},
    {"audit", "get_provider_info", "operators", "plugins", "triggers"},
    {"sensors"},
)
"""The rooms of the package by their floors, from the ground up: each import leads down."""

FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
TOP = {"__init__", "audit", "exceptions", "get_provider_info", "parameters", "timestamps"}
"""The modules at the top of the package: what is public, and the ground."""

SHELLS = ("hooks", "operators", "plugins", "retry_policies", "sensors", "triggers", "links")
LONGEST = 400
AIRFLOW = {
    "exceptions.py": {"try"},
    "observability/metrics.py": {"top"},
    "storage/open_store.py": {"function"},
    "window/timetable.py": {"function"},
}
"""Who of the core may import Airflow, and where: it is plain Python, but for what only Airflow can tell."""


def room_of(path: Path) -> str:
    """Return the first folder below the package, or the module's own name."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def is_shell(path: Path) -> bool:
    return room_of(path) in (*SHELLS, "get_provider_info")


def named(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports_of(node: ast.AST, where: str = "top") -> list[tuple[str, str]]:
    """Return the imports below a node as pairs: where (top, try, function, typing) and what."""
    found: list[tuple[str, str]] = []
    for child in ast.iter_child_nodes(node):
        inner = where
        if is_type_checking(child):
            found += [pair for part in child.body for pair in imports_in(part, "typing")]
            found += [pair for part in child.orelse for pair in imports_in(part, where)]
            continue
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            inner = "function"
        elif isinstance(child, ast.Try) and where == "top":
            inner = "try"
        found += names_of(child, where)
        found += imports_of(child, inner)
    return found


def imports_in(node: ast.AST, where: str) -> list[tuple[str, str]]:
    inner = "try" if isinstance(node, ast.Try) and where == "top" else where
    return names_of(node, where) + imports_of(node, inner)


def names_of(node: ast.AST, where: str) -> list[tuple[str, str]]:
    if isinstance(node, ast.Import):
        return [(where, alias.name) for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        if node.module == NAME:
            return [(where, f"{NAME}.{alias.name}") for alias in node.names]
        return [(where, node.module or "")]
    return []


def own(path: Path, *, typing: bool = True) -> set[str]:
    """Return the rooms and modules of the package that a module imports."""
    return {
        name.removeprefix(f"{NAME}.")
        for where, name in imports_of(tree_of(path))
        if name.startswith(f"{NAME}.") and (typing or where != "typing")
    }


def airflow(path: Path) -> set[str]:
    """Return where a module imports Airflow."""
    return {where for where, name in imports_of(tree_of(path)) if name.split(".")[0] == "airflow"}


class TestRooms:
    @pytest.mark.parametrize("path", [path for path in MODULES if not is_shell(path)], ids=named)
    def test_of_the_core_import_no_airflow(self, path):
        assert airflow(path) <= AIRFLOW.get(named(path), set())

    def test_are_those_of_the_drawing(self):
        rooms = {room_of(path) for path in MODULES} - {"__init__"}

        assert rooms == FLOOR_OF.keys()

    def test_are_drawn_for_those_who_contribute(self):
        drawing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("```text\n", 1)[1].split("```", 1)[0]
        drawn = [line[:66].replace("/", "").split() for line in drawing.splitlines()]  # what follows explains

        assert [set(names) for names in drawn] == [set(rooms) for rooms in reversed(FLOORS)]

    def test_have_no_module_beside_them_but_what_is_public_or_ground(self):
        assert {path.stem for path in PACKAGE.glob("*.py")} == TOP

    def test_have_no_files_but_modules_and_what_a_report_is_made_of(self):
        files = {path for path in PACKAGE.rglob("*.*") if path.is_file() and "__pycache__" not in path.parts}

        assert {path.suffix for path in files} == {".py", ".typed", ".css", ".js"}

    @pytest.mark.parametrize("path", [path for path in MODULES if room_of(path) != "__init__"], ids=named)
    def test_import_only_what_lies_on_a_lower_floor(self, path):
        room = room_of(path)
        others = {name.split(".")[0] for name in own(path)} - {room, "__version__"}

        assert {other for other in others if FLOOR_OF[other] >= FLOOR_OF[room]} == set()

    def test_form_no_circle_inside_either(self):
        graph = {
            named(path).removesuffix(".py").replace("/", ".").removesuffix(".__init__"): own(path) for path in MODULES
        }

        while graph:
            leaves = {name for name, needs in graph.items() if not needs & graph.keys()}
            assert leaves, f"these import each other: {sorted(graph)}"
            graph = {name: needs for name, needs in graph.items() if name not in leaves}

    @pytest.mark.parametrize("path", sorted((PACKAGE / "pagination").glob("*.py")), ids=named)
    def test_of_the_walk_and_its_proof_neither_send_nor_wait(self, path):
        if path.stem in {"fetch", "page_threads"}:
            return  # what sends for the walk
        assert not {name for _, name in imports_of(tree_of(path))} & {
            "requests",
            "httpx",
            "time",
            "threading",
            "logging",
        }

    def test_provider_info_imports_nothing_but_data(self):
        assert own(PACKAGE / "get_provider_info.py") == {"__version__", "hooks.connection_form"}
        assert own(PACKAGE / "hooks" / "connection_form.py") == set()

    @pytest.mark.parametrize("path", [path for path in MODULES if room_of(path) in SHELLS], ids=named)
    def test_of_airflow_load_no_library_before_they_work(self, path):
        at_once = {name.split(".")[0] for where, name in imports_of(tree_of(path)) if where in ("top", "try")}

        assert not at_once & {"requests", "httpx", "msgspec", "tenacity", "pyarrow", "pendulum"}


def test_imports_inside_functions_stay_few():
    inside = [path for path in MODULES for line in path.read_text(encoding="utf-8").splitlines() if "PLC0415" in line]

    assert len(inside) <= 15, inside  # one for what each shell does once it works


def public_definitions(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]


def exported(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == ["__all__"]:
            return ast.literal_eval(node.value)
    return None


def bound(tree: ast.Module) -> set[str]:
    """Return the names that a module binds at its top, also where that depends on what is installed."""
    names: set[str] = set()
    nodes = list(tree.body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, (ast.If, ast.Try)):
            nodes += [*node.body, *node.orelse]
    return names


def kind_and_name(name: str) -> tuple[int, str]:
    """Order names as the linter does: constants, classes, then functions."""
    letters = name.replace("_", "")
    return (0 if letters.isupper() else 1 if letters[:1].isupper() else 2, name)


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_lists_what_it_offers_and_no_more(path):
    tree = tree_of(path)
    names = exported(tree)

    if path.name == "__init__.py" and not public_definitions(tree):
        assert names is None or set(names) <= bound(tree)
        return
    assert names is not None, "there is no __all__"
    assert names == sorted(names, key=kind_and_name)
    assert len(set(names)) == len(names)
    assert set(names) <= bound(tree)
    assert {node.name for node in public_definitions(tree)} <= set(names)


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_fits_in_a_reader_s_head(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < LONGEST


def parameters_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    arguments = node.args
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return {name for name in names if name not in ("self", "cls")}


def is_called(decorator: ast.expr, name: str) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(target, ast.Name) and target.id == name


def constructor_of(node: ast.ClassDef) -> set[str]:
    """Return the parameters of a class's constructor; an error's message explains itself."""
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and part.name == "__init__":
            return parameters_of(part) - {"message"}
    bases = {ast.unparse(base) for base in node.bases}
    if any(is_called(decorator, "dataclass") for decorator in node.decorator_list) or "msgspec.Struct" in bases:
        return {
            part.target.id
            for part in node.body
            if isinstance(part, ast.AnnAssign)
            and isinstance(part.target, ast.Name)
            and "init=False" not in ast.unparse(part)
        }
    return set()


def documented(docstring: str) -> list[str]:
    return re.findall(r"^\s*:param (\w+):", docstring, flags=re.MULTILINE)


def public_parts(path: Path) -> list[tuple[str, ast.AST]]:
    parts: list[tuple[str, ast.AST]] = []
    for node in public_definitions(tree_of(path)):
        parts.append((node.name, node))
        if isinstance(node, ast.ClassDef):
            parts += [
                (f"{node.name}.{part.name}", part)
                for part in node.body
                if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)) and not part.name.startswith("_")
            ]
    return parts


USERS_READ = {
    "exceptions.py",
    "hooks/synthflow.py",
    "operators/assistants.py",
    "operators/recordings.py",
    "operators/audit.py",
    "operators/synthflow.py",
    "sensors/synthflow.py",
    "triggers/synthflow.py",
    "window/run.py",
    "window/window.py",
}
"""Where users read of each parameter; internals speak by names and types."""

OF_AIRFLOW = ("operators", "sensors", "triggers")
"""The rooms of classes whose methods Airflow alone calls: users read of their constructors."""


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_everything_public_says_what_it_does_in_a_sentence(path):
    assert ast.get_docstring(tree_of(path))
    for name, node in public_parts(path):
        docstring = ast.get_docstring(node)
        assert docstring, f"{name} has no docstring"
        parameters = constructor_of(node) if isinstance(node, ast.ClassDef) else parameters_of(node)
        names = documented(docstring)
        assert len(set(names)) == len(names), f"{name} documents a parameter twice"
        assert set(names) <= parameters, f"{name} documents {sorted(set(names) - parameters)}, which it does not have"
        if named(path) in USERS_READ and (isinstance(node, ast.ClassDef) or room_of(path) not in OF_AIRFLOW):
            assert set(names) == parameters, f"{name} documents {sorted(names)} and has {sorted(parameters)}"
        assert re.search(r"[.!?:]$", docstring.split("\n\n")[0].strip()), f"{name}: the summary is no sentence"


BRIEF = {
    "auditing",
    "client",
    "extraction",
    "output",
    "pagination",
    "polling",
    "recordings",
    "resume",
    "storage",
    "tables",
}
"""The rooms whose docstrings are one line each: a reader of the code needs no more."""

LONGER = {
    "client/response.py",  # users read of CallsPage
    "extraction/extract.py",
    "extraction/result.py",  # the reference says what its numbers are
    "extraction/spill.py",
    "output/call_schema.py",  # users call rebuild
    "pagination/fetch.py",
    "pagination/page_threads.py",
}
"""The modules in these rooms with longer ones."""


@pytest.mark.parametrize(
    "path", [path for path in MODULES if room_of(path) in BRIEF and named(path) not in LONGER], ids=named
)
def test_internals_are_described_in_one_line(path):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    definitions = [node for node in ast.walk(tree_of(path)) if isinstance(node, kinds)]

    assert [node.name for node in definitions if "\n" in (ast.get_docstring(node) or "")] == []


IMPERATIVES = {
    "Ask", "Audit", "Be", "Bring", "Change", "Compress", "Count", "Describe", "Do", "Download", "Drive", "Extract",
    "Find", "Get", "Give", "Hand", "Have", "Hold", "Keep", "Know", "Lead", "List", "Look", "Make", "Name", "Read",
    "Say", "Send", "Sort", "Stands", "Take", "Tell", "Wait", "Walk", "Watch", "Work", "Write",
}  # fmt: skip


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_class_is_described_by_a_noun_phrase_and_not_told_what_to_do(path):
    classes = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.ClassDef)]

    assert [node.name for node in classes if (ast.get_docstring(node) or "-").split()[0] in IMPERATIVES] == []


@pytest.mark.parametrize("folder", [NAME, "dev", "example_dags", "tests"])
def test_every_file_names_its_licence(folder):
    files = [path for path in (ROOT / folder).rglob("*.py") if path.read_text(encoding="utf-8").strip()]

    assert files
    assert [
        str(path.relative_to(ROOT))
        for path in files
        if path.read_text(encoding="utf-8").splitlines()[0] != "# SPDX-License-Identifier: Apache-2.0"
    ] == []


def test_the_package_is_marked_as_typed_and_each_folder_is_one():
    assert (PACKAGE / "py.typed").exists()
    assert [folder for folder in {path.parent for path in MODULES} if not (folder / "__init__.py").exists()] == []
