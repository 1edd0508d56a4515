"""What a job raises to say that another attempt may succeed."""


class TransientError(Exception):
    """Raise this, or a subclass, and the job is tried again if its type has retries left.

    Any other exception is final, unless the job type lists its class in ``transient_errors``.
    """
