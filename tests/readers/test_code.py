from memapp.readers.code import create
from memapp.readers.text import create as create_text
from memapp.records import ReadDocument


def test_source_code_is_kept_as_it_is_under_the_name_of_its_file() -> None:
    source = "def f():\r\n\treturn 1\n"

    read = create().read(source.encode(), name="tools.py")

    assert read == ReadDocument(source, "tools.py", (), "code")


def test_plain_text_is_kept_as_it_is() -> None:
    assert create_text().read(b" a\r\n# b", name="x.txt") == ReadDocument(" a\r\n# b")
