"""The records of a ZIP archive (APPNOTE 6.3.10), for those who write one and those who read one."""

import struct

LOCAL_HEADER = struct.Struct("<4s5H3I2H")
LOCAL_SIGNATURE = b"PK\x03\x04"
DESCRIPTOR = struct.Struct("<4s3I")
DESCRIPTOR_SIGNATURE = b"PK\x07\x08"
CENTRAL_HEADER = struct.Struct("<4s6H3I5H2I")
CENTRAL_SIGNATURE = b"PK\x01\x02"
END = struct.Struct("<4s4H2IH")
END_SIGNATURE = b"PK\x05\x06"
END_64 = struct.Struct("<4sQ2H2I4Q")
END_64_SIGNATURE = b"PK\x06\x06"
LOCATOR_64 = struct.Struct("<4sIQI")
LOCATOR_64_SIGNATURE = b"PK\x06\x07"

DEFLATED = 8
SIZES_FOLLOW = 0x08
"""A flag: sizes and CRC-32 stand in a descriptor behind the content."""
VERSION, VERSION_64 = 20, 45
"""What it takes to read an archive, and one with Zip64."""
NO_TIME, FIRST_DAY = 0, 0x21
"""Midnight of 1980-01-01, where an archive carries no clock."""
MADE_ON_UNIX = 3 << 8
"""Added to the version of whoever made an archive."""
REGULAR_FILE = 0o100600 << 16
ZIP64 = 0x0001
"""Header id of the Zip64 extra field."""
MOST, MOST_PARTS = 0xFFFFFFFF, 0xFFFF
"""They say: see Zip64."""
END_64_REST = 44
"""Bytes of the end of a Zip64 archive behind the number that says so."""
