"""What the process of a step runs: one script of SQL, whole or not at all."""

import os
import sqlite3
import sys


def main(database, script):
    with open(script, encoding="utf-8") as file:
        text = file.read()
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("BEGIN")
    try:
        for statement in statements(text):
            for row in connection.execute(statement, dict(os.environ)):
                print(*row, sep="\t")
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        return f"{os.path.basename(script)}: {error}"
    finally:
        connection.close()
    return 0


def statements(text):
    """Yield the statements of a script; a semicolon in a text ends none."""
    statement = ""
    for line in text.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
