//! Archives without compression (PKWARE's APPNOTE, version 2.0): what a wheel has to be.

/// An archive of these files, each with its name.
pub fn archive(files: &[(String, String)]) -> Vec<u8> {
    let (mut body, mut directory) = (Vec::new(), Vec::new());
    for (name, text) in files {
        let offset = body.len() as u32;
        let mut header = Vec::new();
        // Version, flags, method, time, the first of January 1980.
        [20, 0, 0, 0, 0x21].into_iter().for_each(|n: u16| header.extend(n.to_le_bytes()));
        [crc32(text.as_bytes()), text.len() as u32, text.len() as u32]
            .into_iter()
            .for_each(|n| header.extend(n.to_le_bytes()));
        header.extend((name.len() as u16).to_le_bytes());
        header.extend(0u16.to_le_bytes());
        body.extend(*b"PK\x03\x04");
        body.extend(&header);
        body.extend(name.as_bytes());
        body.extend(text.as_bytes());
        directory.extend(*b"PK\x01\x02\x14\x03");
        directory.extend(&header);
        // Comment, disk and inner attributes; a plain file that anybody may execute.
        directory.extend([0; 6]);
        directory.extend(0o100_755_u32.wrapping_shl(16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, size, count) = (body.len() as u32, directory.len() as u32, files.len() as u16);
    body.extend(directory);
    body.extend(*b"PK\x05\x06\0\0\0\0");
    body.extend(count.to_le_bytes());
    body.extend(count.to_le_bytes());
    body.extend(size.to_le_bytes());
    body.extend(start.to_le_bytes());
    body.extend([0; 2]);
    body
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}
