"""Several replicas of the service over one PostgreSQL: `advisor serve --store postgresql://…`.

Shared by all replicas:
- PostgreSQL: keys, the queue with its leases, idempotency keys, sessions with their events and
  results, LangGraph's checkpoints. Nothing that another replica must know is kept elsewhere.
- The folder ADVISOR_SHARED, mounted under one path: reports with their pictures, and the samples
  of requests, one Parquet file per trial.
- Models, under one path: a task names its model by it. The settings, and the release.

Each replica's own: ADVISOR_HOME (its lock, its address for the command line, logs, environments,
artifacts, which are made again where they are missing) and its accelerators. A session is taken
over by a replica on an equal machine alone, since figures of two machines are not compared.

Who runs a session holds its lease, renewed every few seconds and timed by the server's clock. A
replica that can't renew kills its session's process before the lease ends; whatever it still tries
to write is refused, since every write looks at the lease in its own transaction. Then any replica
puts the session back at its place in the queue, and who takes it resumes it: finished trials stay
and none is measured again.
"""

from api.service.replicas.backend import Replicas

__all__ = ["Replicas"]
