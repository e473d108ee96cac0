"""What holds for the whole repository: boundaries, size, packaging, the README's commands."""

import ast
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import mcx

ROOT = Path(__file__).parents[1]
PACKAGES = ("mcx", "mcx_nn", "mcx_optim")
TOP_LEVEL = {"pyproject.toml", "README.md", "LICENSE", "tests", "examples", *PACKAGES}
OPTIONAL = ("cupy", "numba", "scipy", "matplotlib", "tqdm", "mpi4py", "sklearn")
KNOW_MCX = ("mcx_nn/primitives.py", "mcx_nn/convolutions/compiled.py")
README = (ROOT / "README.md").read_text()
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50


def repository_files() -> list[Path]:
    """Return all files, tracked or new, that git does not ignore, relative to the root."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    names = [Path(name) for name in listing.stdout.split("\0") if name]
    return sorted(name for name in names if (ROOT / name).exists())


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imported_packages(source: str) -> set[str]:
    """Return the top-level names that the source imports, at any depth of nesting."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names


def calls_to_print(source: str) -> list[int]:
    """Return the line numbers of all calls of print."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "print"
    ]


def long_functions(source: str) -> list[str]:
    """Return the names of the functions whose code, docstring aside, exceeds the limit."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body and body[-1].end_lineno - body[0].lineno + 1 > MAX_FUNCTION_LINES:
                found.append(node.name)
    return found


def allowed_first_party(path: Path) -> set[str]:
    """Return the packages of this project that a library file may import."""
    package = path.relative_to(ROOT).parts[0]
    if path.relative_to(ROOT).as_posix() in KNOW_MCX:
        return {"mcx_nn", "mcx"}
    return {"mcx": {"mcx"}, "mcx_nn": {"mcx_nn"}, "mcx_optim": {"mcx_optim", "mcx"}}[package]


def run_python(code: str, **environment: str) -> str:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout


@pytest.mark.parametrize("path", python_files(*PACKAGES), ids=lambda p: str(p.relative_to(ROOT)))
def test_dependencies_point_one_way(path):
    first_party = imported_packages(path.read_text()) & set(PACKAGES)
    assert first_party <= allowed_first_party(path)


@pytest.mark.parametrize("path", python_files(*PACKAGES), ids=lambda p: str(p.relative_to(ROOT)))
def test_libraries_do_not_print(path):
    assert calls_to_print(path.read_text()) == []


def test_files_are_short():
    lengths = {
        str(name): len((ROOT / name).read_text().splitlines())
        for name in repository_files()
        if name.suffix == ".py"
    }
    assert {name: n for name, n in lengths.items() if n > MAX_FILE_LINES} == {}


@pytest.mark.parametrize(
    "path", python_files(*PACKAGES, "examples"), ids=lambda p: str(p.relative_to(ROOT))
)
def test_functions_are_short(path):
    assert long_functions(path.read_text()) == []


def test_the_checkers_find_what_they_look_for():
    source = (
        "def f():\n    '''Doc.'''\n    from mcx.algebra import x\n    import numpy.linalg as l\n"
    )
    assert imported_packages(source) == {"mcx", "numpy"}
    assert calls_to_print("x = 1\nif x:\n    print(x)\nlog.print(x)\n") == [3]
    body = "    x = 1\n" * MAX_FUNCTION_LINES
    assert long_functions(f"def short():\n    '''Doc.'''\n{body}") == []
    assert long_functions(f"def long():\n{body}    return x\n") == ["long"]


def test_import_loads_no_optional_package():
    code = (
        "import sys, mcx, mcx_nn, mcx_optim\n"
        f"print(*[name for name in {OPTIONAL!r} if name in sys.modules])"
    )
    assert run_python(code).split() == []


def test_import_is_quick(tmp_path):
    """Compiled modules are kept between the runs, whatever the environment says: as installed."""
    compiled = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    code = (
        "import numpy, time\n"
        "start = time.process_time()\n"
        "import mcx, mcx_nn, mcx_optim\n"
        "print(time.process_time() - start)"
    )
    assert min(float(run_python(code, **compiled)) for _ in range(5)) < 0.15


def test_top_level_holds_only_what_it_should():
    entries = {name.parts[0] for name in repository_files()}
    assert {entry for entry in entries if not entry.startswith(".")} == TOP_LEVEL


def test_wheel_holds_every_file_of_the_packages(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        content = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert any(name.endswith("licenses/LICENSE") for name in archive.namelist())
    source = {str(name) for name in repository_files() if name.parts[0] in PACKAGES}
    assert content == source
    assert {f"{package}/py.typed" for package in PACKAGES} <= content


def test_continuous_integration_runs_the_test_command_of_the_readme():
    markers = re.findall(r"<!-- test command -->\n```bash\n(.*)\n```\n<!-- end -->", README)
    assert len(markers) == 1, "README.md: expected one marked test command of one line"
    command, script = markers[0], (ROOT / ".ci" / "run").read_text()
    assert re.fullmatch(r"python3 -m venv \.venv && .*'\.\[test\]' && \.venv/bin/pytest.*", command)
    # The script takes the command from the README and holds no second one.
    assert "<!-- test command -->" in script
    assert 'eval "$command"' in script
    assert not re.search(r"^[^#\n]*bin/(python -m )?pytest", script, re.M)


def nonsmooth_rows():
    """Return the rows (f(x), x, f'(x)) of the README's table of conventions, as source text."""
    section = README.split("## What is conventional where a function is not smooth")[1]
    section = section.split("\n## ")[0]
    return re.findall(r"^\| `(.+?)` \| `(.+?)` \| `(.+?)` \|", section, re.M)


@pytest.mark.parametrize(("function", "point", "expected"), nonsmooth_rows())
def test_nonsmooth_convention_of_the_readme(function, point, expected):
    point, expected = (np.array(eval(text, {"np": np})) for text in (point, expected))
    differentiate = mcx.gradient if point.ndim else mcx.derivative
    with np.errstate(divide="ignore", invalid="ignore"):
        got = differentiate(eval(f"lambda x: {function}", {"np": np}), point)
    np.testing.assert_array_equal(got, expected)


def test_readme_has_the_table_and_names_files_that_exist():
    assert len(nonsmooth_rows()) >= 16
    paths = re.findall(rf"`((?:{'|'.join(PACKAGES)}|tests|examples|\.ci)/[\w./]*)`", README)
    assert len(paths) > 10
    assert [path for path in paths if not (ROOT / path).exists()] == []
