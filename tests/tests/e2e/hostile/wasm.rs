//! Components that no compiler makes, byte by byte.

/// A component with this core module in it, which it instantiates so often.
pub(super) fn component(module: &[u8], instances: usize) -> Vec<u8> {
    let mut instance = number(instances as u64);
    for _ in 0..instances {
        // Of the first module, with no arguments.
        instance.extend([0x00, 0x00, 0x00]);
    }
    let parts = [section(1, module), section(2, &instance)];
    [&b"\0asm\x0d\0\x01\0"[..], &parts.concat()].concat()
}

/// A core module of these sections.
pub(super) fn module(sections: &[Vec<u8>]) -> Vec<u8> {
    [&b"\0asm\x01\0\0\0"[..], &sections.concat()].concat()
}

/// A core module whose one function is called when it starts, and has so many locals (`i64`) and this body.
pub(super) fn started(locals: u64, body: &[u8]) -> Vec<u8> {
    let locals = match locals {
        0 => vec![0],
        _ => [&[1][..], &number(locals), &[0x7e]].concat(),
    };
    let function = [&locals[..], body, &[0x0b]].concat();
    let code = [&[1][..], &number(function.len() as u64), &function].concat();
    module(&[
        section(1, &[1, 0x60, 0, 0]),
        section(3, &[1, 0]),
        section(8, &[0]),
        section(10, &code),
    ])
}

/// A section with its number and its length.
pub(super) fn section(id: u8, body: &[u8]) -> Vec<u8> {
    [&[id][..], &number(body.len() as u64), body].concat()
}

/// A number as WebAssembly writes it (LEB128).
pub(super) fn number(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
