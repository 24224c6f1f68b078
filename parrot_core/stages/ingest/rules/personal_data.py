"""Text rule: personal data and secrets become placeholders, such as ``<EMAIL>``.

Every kind has an exact form and, where there is one, a checksum: versions, dates, identifiers and
code must stay. What is reserved for examples or for private networks is nobody's and stays too.
"""

import ipaddress
import re
from collections.abc import Callable
from datetime import date

from parrot_core.stages.ingest.rules.gate import Gate
from parrot_core.stages.ingest.rules.rule import ChosenRule, outside_code

_EMAIL = re.compile(
    r"(?<![\w.+/@-])[A-Za-z0-9][\w.+-]{0,63}@(?P<host>(?:[A-Za-z0-9-]{1,63}\.)+(?P<end>[A-Za-z]{2,24}))\b"
)
_CREDENTIALS_BEFORE = re.compile(r"://[^\s/@]{1,80}:$")
_NOBODYS_HOST = re.compile(
    r"(?:^|\.)(?:example|test|invalid|localhost|local|domain|email|company|yourdomain|mydomain)"
    r"(?:\.\w+)?$",
    re.IGNORECASE,
)
_FILE_ENDS = frozenset(
    ("png", "jpg", "jpeg", "gif", "svg", "webp", "js", "ts", "css", "html", "json", "py", "md")
)
_NOBODYS_NAME = frozenset(("git", "user", "username", "your", "youremail", "your-email", "name"))

_SECRET_SIGNS = (
    *("sk-", "AKIA", "ASIA", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xox", "AIza"),
    *("hf_", "sk_live_", "rk_live_", "eyJ", "SG.", "npm_", "PRIVATE KEY", "Bearer "),
)
_SECRET = re.compile(
    r"\b(?:sk-(?:proj-|ant-)?[A-Za-z0-9_-]{20,200}|(?:AKIA|ASIA)[0-9A-Z]{16}"
    r"|gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_\w{22,255}|glpat-[\w-]{20,}"
    r"|xox[abprs]-[A-Za-z0-9-]{10,200}|AIza[\w-]{35}|hf_[A-Za-z]{30,40}|[sr]k_live_[A-Za-z0-9]{20,}"
    r"|SG\.[\w-]{20,24}\.[\w-]{39,50}|npm_[A-Za-z0-9]{36}"
    r"|eyJ[\w-]{10,2000}\.eyJ[\w-]{10,4000}\.[\w-]{10,1000})(?![\w-])"
    r"|(?<=Bearer )[A-Za-z0-9_.~+/-]{24,2000}=*(?![\w-])"
)
_PRIVATE_KEY = re.compile(
    r"(?P<begin>-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----\n)(?P<body>[A-Za-z0-9+/=\n]{40,}?)"
    r"(?P<end>\n?-----END )"
)
_PASSWORD_IN_URL = re.compile(
    r"(?P<before>\b[a-z][\w+.-]{1,20}://[^\s:/@'\"`<>$]{1,64}:)"
    r"(?P<word>[^\s:/@'\"`<>$*{}()\[\]]{4,64})(?=@[\w.-]+)"
)
_NOBODYS_WORD = re.compile(
    r"(?:x+|\.+|\*+|(?:your|my|db|the)?[_-]?(?:pass\w*|pwd|secret|token|pw)|\w*password\w*|root"
    r"|admin|postgres|guest|1234\w*)",
    re.IGNORECASE,
)

_RUN = r"\d[\d ().\-\u00a0]{5,26}(?:\d|(?<=\d)[Xx])(?![\w@%/]|[.,-]\d)"
_RUN_OF_DIGITS = re.compile(_RUN)
"""Begins with what is looked for, and so is found four times as fast as what is replaced."""
_DIGITS = re.compile(rf"(?<![\w.,/=:#$€£@%&-])\(?\+?\(?{_RUN}")
_CARD = re.compile(
    r"(?:4\d{15}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|6(?:011|5\d\d)\d{12}|62\d{14,17})"
)
_CARD_SHAPE = re.compile(
    r"\d{13,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?|\d{4}([ -])\d{6}\2\d{5}"
)
_IP = re.compile(r"(?<![\w.:/-])(?:\d{1,3}\.){3}\d{1,3}(?![\w/-]|\.\d)")
_DOTTED = re.compile(r"\.\d{1,3}\.\d{1,3}\.\d")
_VERSION_BEFORE = re.compile(
    r"(?:version|release|ver|v|chrome|firefox|safari|section|build)\W{0,3}$", re.IGNORECASE
)
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?:[A-Z0-9]{11,30}|(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?)\b")
_IBAN_START = re.compile(r"[A-Z]{2}\d{2}")
_CHINESE_ID = re.compile(r"[1-9]\d{5}(?:19|20)\d{9}[\dXx]")
_CHINESE_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHINESE_MOBILE = re.compile(r"(?:\+?86[ -]?)?1[3-9]\d([ -]?)\d{4}\1\d{4}")
_SSN = re.compile(r"(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}")
_SSN_EXAMPLES = frozenset(("123-45-6789", "078-05-1120", "219-09-9999"))
_PHONE_SHAPE = re.compile(
    r"\+\d[\d ().\-]{7,18}\d|\(\d{3}\) ?\d{3}[-. ]\d{4}|(?:1[-. ])?\d{3}([-. ])\d{3}\1\d{4}"
)
GATE = Gate(
    (
        r"[A-Za-z0-9+]@[A-Za-z0-9]",
        r"://[^\s:/]+:[^\s@]+@|\+[0-9]|PRIVATE KEY|Bearer \S{24}",
        r"sk-[A-Za-z0-9_-]{20}|gh[pousr]_[A-Za-z0-9]{36}|github_pat_|glpat-|hf_[A-Za-z]{30}"
        r"|[sr]k_live_|npm_[A-Za-z0-9]{36}|xox[abprs]-",
        r"A[KS]IA[0-9A-Z]{16}|AIza[A-Za-z0-9_-]{35}|SG\.[\w-]{20}|eyJ[A-Za-z0-9_-]{10}",
        # Account numbers from a digit on, too: from their letters it takes six times as long.
        r"[0-9](?:\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|[0-9] ?[A-Z0-9]{4} ?[A-Z0-9]{4}"
        r"|[0-9]{2}[\x{a0} ().-]{0,3}[0-9]{2,4}[\x{a0} .-]?[0-9]{3})",
    )
)


def personal_data(text: str, role: str) -> str:
    """Mails, keys, passwords in URLs, cards, bank accounts, addresses of machines, phones, ids.

    A placeholder holds neither a line end nor a backtick, so code blocks keep their structure.
    Phones and ids aren't looked for inside code, where numbers of every shape are. What an exact
    form begins with or holds is looked for first, which takes a tenth of the time.
    """
    if "@" in text:
        if "://" in text:
            text = _PASSWORD_IN_URL.sub(_password, text)
        text = _EMAIL.sub(_email, text)
        if "](mailto:" in text:
            text = text.replace("[<EMAIL>](mailto:<EMAIL>)", "<EMAIL>")
    if any(sign in text for sign in _SECRET_SIGNS):
        text = _SECRET.sub(_secret, text)
        text = _PRIVATE_KEY.sub(_private_key, text)
    if _DOTTED.search(text):
        text = _IP.sub(_ip, text)
    if _IBAN_START.search(text):
        text = _IBAN.sub(_iban, text)
    if _RUN_OF_DIGITS.search(text):
        text = outside_code(text, lambda prose: _DIGITS.sub(_number, prose))
    return text


def _email(found: re.Match[str]) -> str:
    name = found[0].partition("@")[0].lower()
    if _CREDENTIALS_BEFORE.search(found.string, max(0, found.start() - 100), found.start()):
        return found[0]  # the password of a URL, and its host
    nobodys = name in _NOBODYS_NAME or _NOBODYS_HOST.search(found["host"])
    return found[0] if nobodys or found["end"].lower() in _FILE_ENDS else "<EMAIL>"


def _password(found: re.Match[str]) -> str:
    nobodys = _NOBODYS_WORD.fullmatch(found["word"])
    return found[0] if nobodys else f"{found['before']}<PASSWORD>"


def _secret(found: re.Match[str]) -> str:
    """What is all one sign, counts up or has no digit ("sk-your-key-here") is a placeholder."""
    text = found[0].lower()
    few_signs = len(set(text[6:])) < 6
    nobodys = few_signs or "1234567" in text or not any(sign.isdigit() for sign in text)
    return found[0] if nobodys else "<SECRET>"


def _private_key(found: re.Match[str]) -> str:
    lines = found["body"].count("\n") + 1
    return found["begin"] + "\n".join(["<SECRET>"] * lines) + found["end"]


def _ip(found: re.Match[str]) -> str:
    try:
        address = ipaddress.IPv4Address(found[0])
    except ValueError:
        return found[0]
    before = found.string[max(0, found.start() - 12) : found.start()]
    round_number = found[0].endswith((".0", ".0.1"))
    known = found[0] in ("8.8.8.8", "8.8.4.4", "1.1.1.1", "1.2.3.4")
    kept = not address.is_global or round_number or known or _VERSION_BEFORE.search(before)
    return found[0] if kept or address.packed[0] < 11 else "<IP>"


def _iban(found: re.Match[str]) -> str:
    plain = found[0].replace(" ", "")
    moved = plain[4:] + plain[:4]
    number = int("".join(str(int(sign, 36)) for sign in moved))
    return "<IBAN>" if 15 <= len(plain) <= 34 and number % 97 == 1 else found[0]


def _number(found: re.Match[str]) -> str:
    """What kind of number a run of digits is, the ones with checksums first."""
    whole = found[0]
    text = whole.strip("\u00a0 -.")
    for placeholder, is_one in _NUMBERS:
        if is_one(text):
            return whole.replace(text, placeholder)
    return whole


def _is_card(text: str) -> bool:
    digits = re.sub(r"[ -]", "", text)
    if not _CARD_SHAPE.fullmatch(text) or not _CARD.fullmatch(digits):
        return False
    doubled = [int(sign) * (2 if place % 2 else 1) for place, sign in enumerate(digits[::-1])]
    return sum(n - 9 if n > 9 else n for n in doubled) % 10 == 0 and len(set(digits)) > 3


def _is_chinese_id(text: str) -> bool:
    if not _CHINESE_ID.fullmatch(text):
        return False
    try:
        date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    total = sum(int(sign) * w for sign, w in zip(text, _CHINESE_WEIGHTS, strict=False))
    return "10X98765432"[total % 11] == text[17].upper()


def _is_ssn(text: str) -> bool:
    return bool(_SSN.fullmatch(text)) and text not in _SSN_EXAMPLES


def _is_phone(text: str) -> bool:
    """A Chinese mobile, or what the numbering plans of libphonenumber hold for a real number."""
    if _CHINESE_MOBILE.fullmatch(text):
        return True
    if not _PHONE_SHAPE.fullmatch(text):
        return False
    import phonenumbers

    try:
        number = phonenumbers.parse(text, "US")
    except phonenumbers.NumberParseException:
        return False
    return bool(phonenumbers.is_valid_number(number))


_NUMBERS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("<CARD>", _is_card),
    ("<ID>", _is_chinese_id),
    ("<SSN>", _is_ssn),
    ("<PHONE>", _is_phone),
)


RULE = ChosenRule(personal_data, GATE)
