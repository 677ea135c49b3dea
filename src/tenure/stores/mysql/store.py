"""MySQL and MariaDB, for several instances on one database. Every result is committed.

All refreshes of a batch are two statements and one commit (`statements.py` says why two). Sessions are locked in the
order of their ids, so that instances rarely conflict. Every wait has a timeout of a few seconds. No statement is
prepared, and no lock outlives its transaction, so ProxySQL and MaxScale may stand between.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pymysql
from pymysql.constants import ER

from tenure.core.calls import Call
from tenure.stores.mysql.schema import Connection, bring_forward, connected, is_lost
from tenure.stores.mysql.statements import advance_in, mysql_dialect
from tenure.stores.rows import runs
from tenure.stores.sql.server import Fault, ServerStore
from tenure.stores.sql.statements import answers_to

_STATEMENTS = mysql_dialect("tenure_")
_advance = partial(advance_in, "tenure_")
_RECORD_CHANGED = 1020  # MariaDB, innodb_snapshot_isolation
_CONFLICTS = {ER.LOCK_DEADLOCK, ER.LOCK_WAIT_TIMEOUT, ER.DUP_ENTRY, _RECORD_CHANGED}


class MysqlStore(ServerStore):
    """Sessions in a MySQL or MariaDB database. Raises SchemaTooNew, ConfigurationError and StoreUnavailable on
    opening."""

    def __init__(self, url: str, *, migrate: bool = True) -> None:
        super().__init__("tenure-mysql")
        self._url = url
        try:
            bring_forward(self._connected(), allowed=migrate)
        except BaseException:
            self.close()
            raise

    def _connect(self) -> Connection:
        return connected(self._url)

    def _leave_to_parent(self, connection: Connection) -> None:
        connection.leave_to_parent()

    def _transaction(self, connection: Connection, calls: Sequence[Call[Any]]) -> Sequence[Any]:
        try:
            answers = answers_to(runs(calls), connection, _STATEMENTS, _advance)
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
        return answers

    def _fault(self, problem: Exception) -> Fault:
        if not isinstance(problem, pymysql.Error) or isinstance(problem, pymysql.DataError):
            return Fault.CALL
        if problem.args[0] in _CONFLICTS:
            return Fault.CONFLICT
        # After a failover, the server that is now read-only is left for the one that is not.
        left = is_lost(problem) or isinstance(problem, pymysql.OperationalError | pymysql.InternalError)
        return Fault.LOST if left else Fault.SERVER
