"""The agent, read from top to bottom: the nine steps as a LangGraph graph."""

from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from advisor.context import Context
from advisor.nodes.baseline import baseline
from advisor.nodes.benchmark import benchmark
from advisor.nodes.decide import decide
from advisor.nodes.hypothesize import hypothesize
from advisor.nodes.implement import implement
from advisor.nodes.production_test import production_test
from advisor.nodes.profile import profile
from advisor.nodes.report import report
from advisor.nodes.run_off import run_off
from advisor.nodes.validate import validate
from advisor.state import State

Graph = CompiledStateGraph[State, Context, State, State]


def build(checkpointer: BaseCheckpointSaver[Any] | None = None) -> Graph:
    """profile → baseline → hypothesize → implement → benchmark → validate → decide, again until
    nothing promises enough, then run_off → production_test → report. One superstep is one trial."""
    graph = StateGraph(State, context_schema=Context)
    for node in (profile, baseline, hypothesize, implement, benchmark, validate, decide):
        graph.add_node(node.__name__, node)
    graph.add_node("run_off", run_off)
    graph.add_node("production_test", production_test)
    graph.add_node("report", report)

    graph.add_edge(START, "profile")
    graph.add_edge("profile", "baseline")
    graph.add_edge("baseline", "hypothesize")
    graph.add_conditional_edges("hypothesize", _go_on, ["implement", "run_off"])
    graph.add_edge("implement", "benchmark")
    graph.add_edge("benchmark", "validate")
    graph.add_edge("validate", "decide")
    graph.add_edge("decide", "hypothesize")
    graph.add_edge("run_off", "production_test")
    graph.add_edge("production_test", "report")
    graph.add_edge("report", END)
    return graph.compile(checkpointer=checkpointer)


def _go_on(state: State) -> str:
    return "run_off" if state.get("stop") else "implement"
