# Runs the README's example against the Redis at argv[1]; says what it asks for and what it shows.
import sys

from example import watch


def query():
    print("query", flush=True)
    return [{"id": "1"}, {"id": "2"}]


watch(sys.argv[1], "events:repo:owner/repo", query, lambda event: print("show", event["id"], flush=True))
