"""A Spark session as scaling out needs it, or one clear line about what is missing."""

import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession

from pipeline.core.errors import UsageError
from pipeline.core.settings import Settings
from pipeline.scaleout.spark.messages import MessageSource
from pipeline.scaleout.spark.source import SegmentSource

_ROCKSDB = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
_JAVA_REMEDY = "install Java 17; on Debian: apt-get install openjdk-17-jre-headless"
_STATE = "spark.sql.streaming.stateStore"


@contextmanager
def spark_session(settings: Settings, name: str) -> Iterator[SparkSession]:
    """Run Spark's driver for the length of a ``with`` block.

    Raises:
        UsageError: There is no Java.
    """
    if not os.environ.get("JAVA_HOME") and shutil.which("java") is None:
        raise UsageError("foretell scale", "Spark needs Java 17, and there is no java", _JAVA_REMEDY)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    for variable, value in (("OMP_NUM_THREADS", "1"), ("PYTHONWARNINGS", "ignore")):
        os.environ.setdefault(variable, value)
    builder = SparkSession.builder.master(settings.scale.master).appName(name)
    for key, value in _configuration(settings).items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    logging.getLogger("py4j").setLevel(logging.WARNING)  # tells of every connection to the JVM
    spark.dataSource.register(SegmentSource)
    spark.dataSource.register(MessageSource)
    try:
        yield spark
    finally:
        spark.stop()


def _configuration(settings: Settings) -> dict[str, str]:
    """Return what Spark is told; SPARK_CONF_DIR's spark-defaults.conf says the rest."""
    fixed = {
        f"{_STATE}.providerClass": _ROCKSDB,
        f"{_STATE}.rocksdb.changelogCheckpointing.enabled": "true",
        "spark.sql.shuffle.partitions": str(settings.scale.partitions),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "100000",
        "spark.sql.parquet.compression.codec": "zstd",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",  # not the old INT96, which others read as ns
        "spark.sql.sources.partitionOverwriteMode": "static",
        "spark.executorEnv.OMP_NUM_THREADS": "1",
        "spark.executorEnv.PYTHONWARNINGS": "ignore",
        "spark.driver.maxResultSize": "0",  # what export-state reads is as large as it is
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    # Workers of a bare checkout find the code where the driver does.
    here = str(Path(__file__).parents[3])
    paths = [here, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    fixed["spark.executorEnv.PYTHONPATH"] = os.pathsep.join(dict.fromkeys(path for path in paths if path))
    if settings.scale.master.startswith("local"):  # nobody else needs to reach this driver
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        fixed |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    return fixed
