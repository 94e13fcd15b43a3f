"""Which functions a target names, and what is said of those that cannot be wrapped."""

from __future__ import annotations

import asyncio
import copy
import functools
import importlib
import importlib.util
import inspect
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest

from tradespan.mapping.targets import parse


@pytest.mark.parametrize(
    "text",
    [
        "module", "module:", ":name", "module:name()x", "module:Class+", "module.name",
        "mod ule:name", "module:name.", "module:Class+.a.b", "3m:name", "module:name()()",
    ],
)  # fmt: skip
def test_what_is_no_target_says_how_one_looks(text: str) -> None:
    """The message shows all four forms."""
    with pytest.raises(ValueError, match=r"is no target; write module:function.*Class\+\.method"):
        parse(text)


RUN = "stages: {{risk: {{run: 'mod:{0}', set: {{symbol: args.symbol}}}}}}"


def mapped(svc: Any, target: str, source: str) -> Any:
    return svc.map(RUN.format(target), source)


def test_a_function_of_a_module(svc: Any, telemetry: Any) -> None:
    """Each call is a stage; what it returns comes back untouched."""
    module = mapped(svc, "work", "ANSWER = object()\ndef work(symbol): return ANSWER\n")
    assert module.work("BTC-USD") is module.ANSWER
    assert telemetry.span("risk").attributes["trading.symbol"] == "BTC-USD"
    assert telemetry.total("trading.stage.duration", stage="risk", outcome="ok") == 1
    assert svc.why("mod:work") == "wrapped: "


CLASS = """\
class Desk:
    limit = 7
    def check(self, symbol): return self, symbol
    @staticmethod
    def still(symbol): return symbol
    @classmethod
    def of(cls, symbol): return cls, symbol
    class Inner:
        def check(self, symbol): return symbol
"""


@pytest.mark.parametrize("target", ["Desk.check", "Desk.still", "Desk.of", "Desk.Inner.check"])
def test_methods_of_every_kind(svc: Any, telemetry: Any, target: str) -> None:
    """Methods, static and class methods; each keeps what it is, and its own first argument."""
    desk = mapped(svc, target, CLASS).Desk
    one = desk()
    if target == "Desk.check":
        assert one.check("A") == (one, "A")
        assert one.check(symbol="A") == (one, "A")
    elif target == "Desk.still":
        assert one.still("A") == desk.still("A") == "A"
    elif target == "Desk.of":
        assert one.of("A") == desk.of("A") == (desk, "A")
    else:
        assert desk.Inner().check("A") == desk.Inner().check(symbol="A") == "A"
    assert len(telemetry.spans) == 2
    assert {s.attributes["trading.symbol"] for s in telemetry.spans} == {"A"}


def test_self_is_the_instance_and_the_class_of_a_class_method(svc: Any, telemetry: Any) -> None:
    """`self.limit` reads the instance, or the class."""
    module = svc.map(
        "stages: {risk: {run: ['mod:Desk.check', 'mod:Desk.of'], set: {limit: self.limit}}}", CLASS
    )
    module.Desk().check("A")
    module.Desk.of("A")
    assert [s.attributes["limit"] for s in telemetry.spans] == [7, 7]


def test_several_targets_for_one_stage(svc: Any, telemetry: Any) -> None:
    """Each of them is the stage."""
    module = svc.map("stages: {risk: {run: ['mod:a', 'mod:b']}}", "def a(): ...\ndef b(): ...\n")
    module.a()
    module.b()
    assert [s.name for s in telemetry.spans] == ["risk", "risk"]


BASE = """
    class Strategy:
        def next(self, symbol): return "base"
    class Early(Strategy):
        def next(self, symbol): return "early"
    class Silent(Strategy): ...
    """


def test_every_subclass_those_defined_later_too(svc: Any, telemetry: Any) -> None:
    """`Class+.method`: those that exist, those to come, and what a subclass inherits; once each."""
    module = mapped(svc, "Strategy+.next", BASE)

    class Late(module.Strategy):
        def next(self, symbol: str) -> str:
            return "late"

    class Later(Late): ...

    for cls, says in ((module.Strategy, "base"), (module.Early, "early"), (Late, "late"),
                      (Later, "late"), (module.Silent, "base")):  # fmt: skip
        assert cls().next("A") == says
    assert len(telemetry.spans) == 5


def test_a_subclass_that_calls_its_base_is_two_stages(svc: Any, telemetry: Any) -> None:
    """Each `next` that runs is one, the base's nested in the subclass's."""
    module = mapped(svc, "Strategy+.next", BASE)

    class Late(module.Strategy):
        def next(self, symbol: str) -> str:
            return "late " + super().next(symbol)

    assert Late().next("A") == "late base"
    inner, outer = telemetry.spans
    assert inner.parent.span_id == outer.context.span_id


def test_subclasses_loaded_by_path_outside_sys_modules(
    svc: Any, telemetry: Any, tmp_path: Path
) -> None:
    """A strategy that a bot loads with spec.loader.exec_module is wrapped as any other."""
    mapped(svc, "Strategy+.next", BASE)
    plugin = tmp_path / "plugin.py"
    plugin.write_text(
        f"from {svc.name} import Strategy\n"
        "class Mine(Strategy):\n    def next(self, symbol): return 'mine'\n"
    )
    spec = importlib.util.spec_from_file_location("nowhere", plugin)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    assert "nowhere" not in sys.modules
    assert loaded.Mine().next("A") == "mine"
    assert telemetry.span("risk").attributes["trading.symbol"] == "A"


def test_init_subclass_of_the_service_still_runs(svc: Any, telemetry: Any) -> None:
    """A base that keeps a list of its subclasses keeps it, keyword arguments included."""
    module = mapped(
        svc,
        "Base+.next",
        """
        class Base:
            known = []
            def __init_subclass__(cls, /, tag="", **kwargs):
                super().__init_subclass__(**kwargs)
                cls.known.append((cls.__name__, tag))
            def next(self, symbol): ...
        """,
    )

    class Late(module.Base, tag="x"):
        def next(self, symbol: str) -> None: ...

    assert module.Base.known == [("Late", "x")]
    Late().next("A")
    assert len(telemetry.spans) == 1


def test_abstract_and_protocol_methods(svc: Any, telemetry: Any) -> None:
    """Alone they are refused, naming the form that works; with + their subclasses are wrapped."""
    source = """
        from abc import ABC, abstractmethod
        from typing import Protocol
        class Venue(Protocol):
            def send(self, symbol): ...
        class Base(ABC):
            @abstractmethod
            def next(self, symbol): ...
        class Mine(Base):
            def next(self, symbol): ...
        class Real(Venue):
            def send(self, symbol): ...
        """
    module = svc.map(
        "stages: {risk: {run: ['mod:Venue.send', 'mod:Base.next', 'mod:Base+.next', "
        "'mod:Venue+.send']}}",
        source,
    )
    assert svc.why("mod:Venue.send") == (
        "not wrapped: a protocol's method is never called itself; write Venue+.send for its "
        "subclasses"
    )
    assert "write Base+.next" in svc.why("mod:Base.next")
    module.Mine().next("A")
    module.Real().send("A")
    assert len(telemetry.spans) == 2
    with pytest.raises(TypeError, match="abstract"):
        module.Base()


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("wrok", "has no 'wrok'"),
        ("Desk.chekc", "Desk has no 'chekc'"),
        ("Dekc.check", "has no 'Dekc'"),
        ("Desk.limit", "int is no function"),
        ("Desk", "a class is no function; name its method, or use returns: of a factory"),
        ("Desk.ratio", "a property is no function"),
        ("Frame.append", "is an immutable type of C or Cython; map a function that calls it"),
        ("Never+.next", "has no 'Never'"),
        ("Desk+.nothing", "neither Desk nor a subclass has 'nothing'"),
    ],
)
def test_what_cannot_be_wrapped_is_named(svc: Any, target: str, why: str) -> None:
    """One line says which target and why; the others are wrapped."""
    source = CLASS + "Desk.ratio = property(lambda self: 1)\nFrame = list\n"
    svc.map(f"stages: {{risk: {{run: ['mod:{target}', 'mod:Desk.check']}}}}", source)
    assert svc.why(f"mod:{target}").startswith("not wrapped: ")
    assert why in svc.why(f"mod:{target}")
    assert svc.why("mod:Desk.check") == "wrapped: "
    summary = svc.record.summary("svc", "tradespan.yaml")
    assert "1 of 2 targets wrapped" in summary
    assert why in summary


def test_a_module_that_is_never_imported_waits(svc: Any) -> None:
    """The summary says so: nothing is imported for the mapping's sake."""
    svc.map("stages: {risk: {run: 'never_there:work'}}", "")
    assert "never_there" not in sys.modules
    summary = svc.record.summary("svc", "tradespan.yaml")
    assert "waiting: never_there:work (not imported yet)" in summary


def test_already_imported_by_name_elsewhere_is_said(svc: Any, telemetry: Any) -> None:
    """Who took the function by name before it was wrapped calls it unseen; the line names them."""
    svc.load("def work(symbol): return symbol\n")
    other = svc.name + "_other"
    (svc._folder / f"{other}.py").write_text(f"from {svc.name} import work\n")
    taken = importlib.import_module(other)
    module = mapped(svc, "work", "")
    assert svc.why("mod:work") == (
        f"wrapped: already imported by name in {other}, which calls it unseen"
    )
    assert taken.work("A") == "A"
    assert not telemetry.spans
    module.work("A")
    assert len(telemetry.spans) == 1


def test_a_target_named_twice_by_one_stage_is_one(svc: Any, telemetry: Any) -> None:
    """A call is counted once."""
    module = svc.map("stages: {risk: {run: ['mod:work', 'mod:work']}}", "def work(): ...\n")
    module.work()
    assert len(telemetry.spans) == 1


def test_one_function_can_carry_several_things(svc: Any, telemetry: Any) -> None:
    """A stage, a gauge of its result and a count of its failures stand around one function."""
    module = svc.map(
        """
        stages: {risk: {run: "mod:work", set: {symbol: '"BTC-USD"'}}}
        calls: {model_inference: "mod:work"}
        values: {pending_recommendations: {after: "mod:work", set: result}}
        counts: {balance_check_failures: {after: "mod:work", when: result > 2}}
        """,
        "def work(): return 3\n",
    )
    assert module.work() == 3
    telemetry.span("risk")
    assert telemetry.total("model_inference_time") == 1
    assert telemetry.last("pending_recommendations") == 3
    assert telemetry.total("balance_check_failures", symbol="BTC-USD") == 1


def test_wrapped_functions_keep_their_faces(svc: Any) -> None:
    """Name, docstring, signature, module and qualified name are the function's own."""
    module = mapped(svc, "Desk.check", CLASS)
    check = module.Desk.check
    assert (check.__name__, check.__qualname__, check.__module__) == (
        "check", "Desk.check", svc.name
    )  # fmt: skip
    assert str(inspect.signature(check)) == "(self, symbol)"


FACTORIES = """
    import functools
    class Engine:
        def run(self, symbol): return symbol
        def __call__(self, symbol): return symbol
    class Slotted:
        __slots__ = ()
        def run(self, symbol): return symbol
    def make(): return lambda symbol: symbol
    def partial(): return functools.partial(lambda a, symbol: symbol, 1)
    def engine(): return Engine()
    def slotted(): return Slotted()
    async def amake(): return lambda symbol: symbol
    def nothing(): return None
    """


@pytest.mark.parametrize("maker", ["make", "partial"])
def test_what_a_factory_makes_is_the_stage(svc: Any, telemetry: Any, maker: str) -> None:
    """`returns:` wraps the function that comes back; making it is no stage."""
    module = svc.map(f"stages: {{risk: {{returns: 'mod:{maker}'}}}}", FACTORIES)
    made = getattr(module, maker)()
    assert not telemetry.spans
    assert [made("A"), made("B")] == ["A", "B"]
    assert len(telemetry.spans) == 2


def test_an_async_factory(svc: Any, telemetry: Any) -> None:
    """What it makes is awaited first."""
    module = svc.map("stages: {risk: {returns: 'mod:amake'}}", FACTORIES)
    assert asyncio.run(module.amake())("A") == "A"
    assert len(telemetry.spans) == 1


def test_a_method_of_what_a_factory_makes(svc: Any, telemetry: Any) -> None:
    """`factory().method`, of this object only."""
    module = svc.map("stages: {risk: {run: 'mod:engine().run'}}", FACTORIES)
    assert module.engine().run("A") == "A"
    assert module.Engine().run("A") == "A"
    assert len(telemetry.spans) == 1


@pytest.mark.parametrize(
    ("mapping", "maker", "line"),
    [
        ("returns: 'mod:nothing'", "nothing", "makes a NoneType, not a function"),
        ("returns: 'mod:engine'", "engine", "name its method: factory().method"),
        ("run: 'mod:engine().walk'", "engine", "makes a Engine without a method 'walk'"),
        ("run: 'mod:slotted().run'", "slotted", "that lets nothing be set on it"),
    ],
)
def test_a_product_that_cannot_be_wrapped_is_said_once(
    svc: Any, telemetry: Any, caplog: Any, mapping: str, maker: str, line: str
) -> None:
    """It comes back as it is, with one line."""
    module = svc.map(f"stages: {{risk: {{{mapping}}}}}", FACTORIES)
    getattr(module, maker)()
    getattr(module, maker)()
    assert [line in r.getMessage() for r in caplog.records] == [True]


OBJECTS = """
    import functools
    @functools.lru_cache
    def price(symbol): return [symbol]
    class Model:
        def __init__(self, by): self.by = by
        def predict(self, symbol): return symbol * self.by
        def __call__(self, symbol): return symbol * self.by
    model = Model(2)
    shared = Model(3)
    @functools.lru_cache
    def get_model(): return shared
    async def aget(): return shared
    def get_later(): return aget()
    class Gadget:
        total = sum
        part = functools.partial(lambda a, b: a + b, 1)
        @functools.lru_cache
        def me(self, symbol): return self
    """


def test_a_cached_function_keeps_its_cache_and_its_pickle(svc: Any, telemetry: Any) -> None:
    """The service clears and asks it as before, and sends it to other processes by name."""
    module = mapped(svc, "price", OBJECTS)
    assert module.price("A") is module.price("A")
    assert module.price.cache_info().hits == 1
    module.price.cache_clear()
    assert pickle.loads(pickle.dumps(module.price)) is module.price
    assert [s.attributes["trading.symbol"] for s in telemetry.spans] == ["A", "A"]


def test_an_instance_and_its_method(svc: Any, telemetry: Any) -> None:
    """A model at module level, called or by a method of it: its state is there."""
    module = svc.map("stages: {risk: {run: ['mod:model', 'mod:shared.predict']}}", OBJECTS)
    module.model.by = 4
    assert module.model("A") == "AAAA"
    assert module.shared.predict("A") == "AAA"
    assert module.Model(1).predict("A") == "A"
    assert len(telemetry.spans) == 2


def test_what_a_class_does_not_bind_stays_unbound(svc: Any, telemetry: Any) -> None:
    """A builtin and a partial take no self; a cached method does, and keeps its cache."""
    module = svc.map(
        "stages: {risk: {run: ['mod:Gadget.total', 'mod:Gadget.part', 'mod:Gadget.me'], "
        "set: {first: args.0}}}",
        OBJECTS,
    )
    gadget = module.Gadget()
    assert (gadget.total([1, 2]), gadget.part(2), gadget.me("A")) == (3, 3, gadget)
    assert module.Gadget.total([1]) == 1
    assert gadget.me.cache_info().misses == 1
    assert [s.attributes.get("first") for s in telemetry.spans] == [None, 2, "A", None]


@pytest.mark.parametrize("factory", ["get_model", "aget", "get_later"])
def test_a_singleton_of_a_factory_is_wrapped_once(svc: Any, telemetry: Any, factory: str) -> None:
    """However often it is given out, each call is one stage, and one timed call."""
    module = svc.map(
        f"""
        stages: {{risk: {{run: "mod:{factory}().predict"}}}}
        calls: {{model_inference: "mod:{factory}().predict"}}
        """,
        OBJECTS,
    )
    for _ in range(3):
        made = getattr(module, factory)()
        made = asyncio.run(made) if inspect.iscoroutine(made) else made
        assert made is module.shared
        assert made.predict("A") == "AAA"
    assert len(telemetry.spans) == 3
    assert telemetry.total("model_inference_time") == 3
    if factory == "get_model":
        assert module.get_model.cache_info().misses == 1


def test_a_copy_of_what_a_factory_made_works_on_itself(svc: Any) -> None:
    """A deep copy and a pickle have their own state, not the first one's."""
    module = mapped(svc, "get_model().predict", OBJECTS)
    made = module.get_model()
    for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        other.by = 1
        assert other.predict("A") == "A"
    assert made.predict("A") == "AAA"


def test_a_subclass_whose_method_cannot_be_wrapped_is_left(
    svc: Any, telemetry: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Its class statement goes on, one line says why, and the others are wrapped."""
    odd = """
    class Odd(Strategy):
        next = property(lambda self: lambda symbol: "odd")
    """
    module = mapped(svc, "Strategy+.next", BASE + odd)
    assert svc.why("mod:Strategy+.next") == "wrapped: Odd.next: a property is no function"

    class Late(module.Strategy):
        next = int

    class Later(module.Strategy):
        def next(self, symbol: str) -> str:
            return "later"

    assert [cls().next("A") for cls in (module.Odd, module.Early, Later)] == [
        "odd", "early", "later"
    ]  # fmt: skip
    assert len(telemetry.spans) == 2
    lines = [r.getMessage() for r in caplog.records]
    assert [line for line in lines if "Late.next: a class is no function" in line]


def test_where_no_class_takes_it_the_target_is_not_wrapped(svc: Any, telemetry: Any) -> None:
    """Those to come are, all the same."""
    module = mapped(svc, "Base+.next", "class Base:\n    next = property(lambda self: 1)\n")
    assert svc.why("mod:Base+.next") == "not wrapped: Base.next: a property is no function"

    class Late(module.Base):
        def next(self, symbol: str) -> None: ...

    Late().next("A")
    assert len(telemetry.spans) == 1


def test_a_subclass_that_has_the_face_of_its_base_is_wrapped(svc: Any, telemetry: Any) -> None:
    """functools.wraps copies what hangs on the base's method, and not that it is wrapped."""
    module = mapped(svc, "Strategy+.next", BASE)

    class Late(module.Strategy):
        @functools.wraps(module.Strategy.next)
        def next(self, symbol: str) -> str:
            return "late"

    assert Late().next("A") == "late"
    assert len(telemetry.spans) == 1


def test_a_function_inside_a_function_is_reached_by_returns(svc: Any) -> None:
    """The reason says so."""
    mapped(svc, "make.inner", FACTORIES)
    assert svc.why("mod:make.inner") == (
        f"not wrapped: make has no 'inner'; for what it makes write returns: {svc.name}:make"
    )
