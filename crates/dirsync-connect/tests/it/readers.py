"""Reads address files with readers that know nothing of dirsync.

Input: for each file a line "FORMAT ARGUMENT LENGTH", then its bytes. Output: for each file a line of JSON,
a list of people with their name, mail addresses, telephone numbers and title.
"""

import csv
import io
import json
import re
import sys

try:
    import vobject.base
except ImportError:
    sys.exit("install the package python3-vobject")
try:
    import ldif
except ImportError:
    sys.exit("install the package python3-ldap")


def person(name, mails, phones, title):
    return {"name": name, "mails": mails, "phones": sorted(phones), "title": title}


def read_csv(content, argument):
    delimiter, charset = argument.split("/", 1)
    delimiter = {"tab": "\t", "semicolon": ";", "comma": ",", "pipe": "|"}[delimiter]
    text = content.decode(charset)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header = next(rows)
    people = []
    for row in rows:
        if not row:
            continue
        field = dict(zip(header, row))
        mails = [field[column] for column in ("E-mail Address", "E-mail 2 Address") if field[column]]
        columns = {
            "Business Phone": "telephoneNumber",
            "Mobile Phone": "mobile",
            "Business Fax": "facsimileTelephoneNumber",
        }
        phones = [[sort, field[column]] for column, sort in columns.items() if field[column]]
        people.append(person(field["Display Name"], mails, phones, field["Job Title"]))
    return people


def read_ldif(content, _):
    records = ldif.LDIFRecordList(io.BytesIO(content))
    records.parse()
    people = []
    for _, attributes in records.all_records:
        field = {}
        for name, values in attributes.items():
            field.setdefault(name.lower(), []).extend(value.decode("utf-8") for value in values)
        sorts = ("telephoneNumber", "mobile", "facsimileTelephoneNumber")
        phones = [[sort, number] for sort in sorts for number in field.get(sort.lower(), [])]
        title = field.get("title", [""])[0]
        people.append(person(field["cn"][0], field["mail"], phones, title))
    return people


def unescape(text):
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] in "nN" else match[1], text)


def read_vcard(content, _):
    # The bytes of a plain value are in the encoding that its property names, so they are decoded last.
    lines = vobject.base.getLogicalLines(io.StringIO(content.decode("latin-1"), newline=""), True)
    people = []
    for line, number in lines:
        try:
            content_line = vobject.base.textLineToContentLine(line, number)
        except vobject.base.ParseError:
            continue
        name, value = content_line.name, content_line.value
        encoded = "quoted-printable" in line.split(":", 1)[0].lower()
        if not encoded and name in ("FN", "EMAIL", "TEL", "TITLE"):
            charset = content_line.params.get("CHARSET", ["utf-8"])[0]
            value = unescape(value.encode("latin-1").decode(charset))
        if name == "BEGIN":
            names, mails, phones, titles = [], [], [], [""]
        elif name == "END":
            mails.sort(key=lambda mail: not mail[0])
            people.append(person(names[0], [mail for _, mail in mails], phones, titles[-1]))
        elif name == "FN":
            names.append(value.replace("\r\n", "\n"))
        elif name == "TITLE":
            titles.append(value.replace("\r\n", "\n"))
        elif name in ("EMAIL", "TEL"):
            types = content_line.singletonparams + content_line.params.get("TYPE", [])
            types = {word.lower() for given in types for word in given.split(",")}
            if name == "EMAIL":
                mails.append((bool("pref" in types or content_line.params.get("PREF")), value))
            else:
                sort = "telephoneNumber"
                sort = "mobile" if "cell" in types else sort
                sort = "facsimileTelephoneNumber" if "fax" in types else sort
                phones.append([sort, re.sub("^tel:", "", value)])
    return people


READERS = {"csv": read_csv, "ldif": read_ldif, "vcard": read_vcard}

while header := sys.stdin.buffer.readline().split():
    kind, argument, length = (word.decode("ascii") for word in header)
    content = sys.stdin.buffer.read(int(length))
    try:
        found = READERS[kind](content, argument)
    except Exception as error:  # The test shows the file that the reader refuses.
        found = repr(error)
    print(json.dumps(found), flush=False)
