//! Declares the interfaces of the contract that a component exports.
//!
//! `wit-bindgen` does that for whole worlds, and binds each interface in only one world of a crate. Plugins export different interfaces: a
//! source may also have `drill`, and sources and sinks share `transfer`. So the crate `tthost-plugin` has all bindings, and each plugin
//! declares the type of its own component.

use std::path::Path;

use anyhow::{Context as _, Result};
use proc_macro::{Literal, TokenStream, TokenTree};
use wit_component::StringEncoding;
use wit_parser::Resolve;

/// The package of the contract, and its version.
const PACKAGE: (&str, &str) = ("tthost:backup", "0.2.0");

/// Declares that the component exports these interfaces: `exports!(plugin transfer source)`.
#[proc_macro]
pub fn exports(interfaces: TokenStream) -> TokenStream {
    let names = interfaces.into_iter().filter_map(|token| match token {
        TokenTree::Ident(name) => Some(name.to_string()),
        _ => None,
    });
    let names: Vec<_> = names.collect();
    match component_type(&names) {
        Ok(bytes) => section(&names.join("-"), &bytes),
        Err(error) => {
            let message = Literal::string(&format!("{error:#}"));
            parse(&format!("::core::compile_error!({message});"))
        }
    }
}

/// The custom section from which the linker takes the type of the component.
fn section(name: &str, bytes: &[u8]) -> TokenStream {
    let (length, bytes) = (bytes.len(), Literal::byte_string(bytes));
    parse(&format!(
        "#[cfg(target_arch = \"wasm32\")]\n\
         #[unsafe(link_section = \"component-type:tthost-plugin:{name}\")]\n\
         static EXPORTS: [u8; {length}] = *{bytes};"
    ))
}

fn parse(code: &str) -> TokenStream {
    code.parse().expect("it is Rust")
}

/// The type of a component with these exports, as `wit-component` reads it.
fn component_type(interfaces: &[String]) -> Result<Vec<u8>> {
    let (package, version) = PACKAGE;
    let exports = interfaces
        .iter()
        .map(|name| format!("export {package}/{name}@{version};\n"));
    let exports: String = exports.collect();
    let world = format!("package tthost:exports;\nworld exports {{\n{exports}}}\n");
    let mut resolve = Resolve::default();
    let contract = Path::new(env!("CARGO_MANIFEST_DIR")).join("wit");
    resolve
        .push_dir(&contract)
        .with_context(|| format!("the contract in {}", contract.display()))?;
    let package = resolve.push_str("exports.wit", &world)?;
    let world = resolve.select_world(&[package], Some("exports"))?;
    wit_component::metadata::encode(&resolve, world, StringEncoding::UTF8, None)
}
