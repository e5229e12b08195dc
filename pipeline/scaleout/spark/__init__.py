"""The part of scaling out that needs pyspark: a source, a stateful processor, and the job around them."""
