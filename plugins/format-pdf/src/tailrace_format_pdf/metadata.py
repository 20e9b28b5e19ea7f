"""What a document says about itself, in the form of XMP, which PDF/A asks for."""

import re
from datetime import datetime
from html import escape

import attrs

_UNSAYABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PART, _CONFORMANCE = 3, "U"


def sayable(text: str) -> str:
    """A text without what XML and PDF do not have: control characters and lone surrogates."""
    return _UNSAYABLE.sub("\ufffd", text)


@attrs.frozen
class Metadata:
    """What a document says about itself.

    Args:
        title: Title.
        subject: What it is about.
        author: Who had it made.
        creator: What made it.
        producer: What wrote the file.
        language: Tag of its language.
        moment: When it was made, where it says that.
    """

    title: str = attrs.field(converter=sayable)
    subject: str = attrs.field(default="", converter=sayable)
    author: str = attrs.field(default="", converter=sayable)
    creator: str = attrs.field(default="", converter=sayable)
    producer: str = "fpdf2"
    language: str = "en"
    moment: datetime | None = None

    def xmp(self) -> str:
        """The same as XMP, with the claim that the document is a PDF/A-3."""
        stamp = "" if self.moment is None else f"{self.moment:%Y-%m-%dT%H:%M:%S+00:00}"
        dates = (
            f"<xmp:CreateDate>{stamp}</xmp:CreateDate><xmp:ModifyDate>{stamp}</xmp:ModifyDate>"
            f"<xmp:MetadataDate>{stamp}</xmp:MetadataDate>"
            if stamp
            else ""
        )
        author = f"<dc:creator><rdf:Seq><rdf:li>{escape(self.author)}</rdf:li></rdf:Seq></dc:creator>"
        return (
            '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
            '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"'
            ' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:pdf="http://ns.adobe.com/pdf/1.3/"'
            ' xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/">'
            f"<pdfaid:part>{_PART}</pdfaid:part><pdfaid:conformance>{_CONFORMANCE}</pdfaid:conformance>"
            f"{_in_language('title', self.title)}{_in_language('description', self.subject)}"
            f"{author if self.author else ''}"
            f"<xmp:CreatorTool>{escape(self.creator)}</xmp:CreatorTool>"
            f"<pdf:Producer>{escape(self.producer)}</pdf:Producer>{dates}"
            "</rdf:Description></rdf:RDF></x:xmpmeta>"
        )


def _in_language(name: str, text: str) -> str:
    if not text:
        return ""
    return f'<dc:{name}><rdf:Alt><rdf:li xml:lang="x-default">{escape(text)}</rdf:li></rdf:Alt></dc:{name}>'
