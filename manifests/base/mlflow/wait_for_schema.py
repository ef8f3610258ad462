"""Wait until the migration has brought the database to this MLflow's schema: two at once would race."""

import sys
import time

import sqlalchemy
from mlflow.store.db import utils

DEADLINE_SECONDS = 600

engine = sqlalchemy.create_engine("postgresql+psycopg2://")
wanted, found = utils._get_latest_schema_revision(), None
started = time.monotonic()
while found != wanted:
    if time.monotonic() - started > DEADLINE_SECONDS:
        sys.exit(f"The schema is {found}, not {wanted}, after {DEADLINE_SECONDS} s. Look at the Job mlflow-migrate-*.")
    try:
        found = utils._get_schema_version(engine)
    except sqlalchemy.exc.OperationalError as error:
        print(f"The database does not answer yet: {error.orig}", flush=True)
    if found != wanted:
        time.sleep(2)
