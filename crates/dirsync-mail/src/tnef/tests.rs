use super::*;

/// An attribute with its sum.
pub(crate) fn attribute_of(level: u8, id: u32, data: &[u8]) -> Vec<u8> {
    let sum = data.iter().fold(0_u16, |sum, byte| sum.wrapping_add(u16::from(*byte)));
    let mut bytes = vec![level];
    bytes.extend(id.to_le_bytes());
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes.extend(sum.to_le_bytes());
    bytes
}

/// A `winmail.dat` with these attachments, as Outlook writes it.
pub(crate) fn winmail(attachments: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = SIGNATURE.to_vec();
    bytes.extend([1, 0]);
    bytes.extend(attribute_of(1, 0x0008_9006, &[0, 0, 1, 0]));
    bytes.extend(attribute_of(1, 0x0007_8008, b"IPM.Microsoft Mail.Note\0"));
    for (name, data) in attachments {
        bytes.extend(attribute_of(
            2,
            RENDERING,
            &[1, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0],
        ));
        bytes.extend(attribute_of(2, TITLE, b"SHORT~1.DIR\0"));
        bytes.extend(attribute_of(2, DATA, data));
        bytes.extend(attribute_of(2, PROPERTIES, &properties(name)));
    }
    bytes
}

/// Properties of many types before the long name.
fn properties(name: &str) -> Vec<u8> {
    let mut bytes = 6_u32.to_le_bytes().to_vec();
    let mut add = |kind: u16, id: u16, value: &[u8]| {
        bytes.extend(kind.to_le_bytes());
        bytes.extend(id.to_le_bytes());
        bytes.extend(value);
    };
    add(0x0003, 0x3705, &[1, 0, 0, 0]);
    add(0x0040, 0x3007, &[0; 8]);
    add(0x0102, 0x3702, &[&1_u32.to_le_bytes()[..], &5_u32.to_le_bytes(), b"bytes\0\0\0"].concat());
    let named =
        [&[9; 16][..], &1_u32.to_le_bytes(), &6_u32.to_le_bytes(), b"n\0m\0\0\0\0\0"].concat();
    add(0x000b, 0x8001, &[&named[..], &[1, 0, 0, 0]].concat());
    add(0x1003, 0x6001, &[&2_u32.to_le_bytes()[..], &[0; 8]].concat());
    let units: Vec<u8> = name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    let length = units.len() as u32;
    let fill = vec![0; (length.next_multiple_of(4) - length) as usize];
    add(
        TYPE_UNICODE,
        LONG_NAME,
        &[&1_u32.to_le_bytes()[..], &length.to_le_bytes(), &units, &fill].concat(),
    );
    bytes
}

#[test]
fn attachments_have_their_long_names_and_bytes() {
    let files: [(&str, &[u8]); 3] =
        [("north+hq-1f-1-1.dirsync", b"first"), ("ü.piece", b""), ("c", &[0xff; 1000])];
    let read = attachments(&winmail(&files)).unwrap();
    let expected =
        files.map(|(name, bytes)| Attachment { name: Some(name.into()), bytes: bytes.into() });
    assert_eq!(read, expected);
    assert_eq!(attachments(&winmail(&[])).unwrap(), []);
    let padded = [winmail(&files), vec![0; 7]].concat();
    assert_eq!(attachments(&padded).unwrap(), expected, "zeros at the end are nothing");
}

#[test]
fn a_short_name_is_better_than_none() {
    let mut bytes = winmail(&[]);
    bytes.extend(attribute_of(2, TITLE, b"A.DAT\0more"));
    bytes.extend(attribute_of(2, DATA, b"x"));
    bytes.extend(attribute_of(2, PROPERTIES, &[1, 0, 0, 0, 0x99, 0x99]));
    let read = attachments(&bytes).unwrap();
    assert_eq!(read, [Attachment { name: Some("A.DAT".into()), bytes: b"x".into() }]);
}

#[test]
fn damage_at_any_byte_is_an_error_or_harmless() {
    let whole = winmail(&[("a.piece", b"bytes"), ("b.piece", b"others")]);
    let expected = attachments(&whole).unwrap();
    for at in 0..whole.len() {
        let cut = attachments(&whole[..at]);
        assert!(cut.is_err() || cut.unwrap().len() < 3, "{at}");
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        if let Ok(read) = attachments(&changed) {
            // Only in the levels, ids and key is a change not noticed by a sum.
            assert!(read.iter().all(
                |one| one.bytes.is_empty() || expected.iter().any(|two| one.bytes == two.bytes)
            ));
        }
    }
    assert_eq!(attachments(b"MZ"), Err(TnefError::NoTnef));
    assert_eq!(attachments(&SIGNATURE), Err(TnefError::CutOff));
}

#[test]
fn sizes_and_counts_from_outside_allocate_nothing() {
    let mut huge = winmail(&[]);
    huge.push(2);
    huge.extend(DATA.to_le_bytes());
    huge.extend(u32::MAX.to_le_bytes());
    assert_eq!(attachments(&huge), Err(TnefError::CutOff));
    let mut many = winmail(&[]);
    (0..=ATTACHMENTS_MAX).for_each(|_| many.extend(attribute_of(2, RENDERING, b"")));
    many.extend(attribute_of(2, RENDERING, b""));
    assert_eq!(attachments(&many), Err(TnefError::TooMany));
    for count in [u32::MAX, 0x7fff_ffff] {
        let mut data = count.to_le_bytes().to_vec();
        data.extend([0x1e, 0x10, 0x07, 0x37]);
        data.extend(count.to_le_bytes());
        data.extend(count.to_le_bytes());
        assert_eq!(long_name(&data), None);
    }
}
