"""Topics of Apache Kafka as sources and sinks of pipe.

The way through the package: `plugin` describes the format, `place` understands where a topic is, `client` makes the
clients of librdkafka and tells their errors. `topic_reader` asks a topic for its offsets and reads ranges of them,
`source` gives them in chunks or follows them, `messages` makes records of them on the workers. `encoder` makes messages
on the workers, `sender` sends them, `sink` is what commits, and `staged_sink` keeps them in a file until then.
"""

from pipe_kafka.errors import UnsendableError
from pipe_kafka.followed import FollowedMessages
from pipe_kafka.options import KafkaOptions

__all__ = ["FollowedMessages", "KafkaOptions", "UnsendableError"]
