"""Processes of the engines: started under a warden, described when they die, never left behind."""

from tools.process.job import run_job
from tools.process.owned import leftovers, sweep
from tools.process.ports import free_port, port_taken
from tools.process.server import ServerProcess
from tools.process.text import clean_env, diagnose

__all__ = [
    "ServerProcess",
    "clean_env",
    "diagnose",
    "free_port",
    "leftovers",
    "port_taken",
    "run_job",
    "sweep",
]
