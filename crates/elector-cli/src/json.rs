//! JSON objects whose members stand in the order in which they are described, which `serde_json`'s map does not keep.

use crate::text::is_harmless;
use serde_json::Value;

/// An object in the making; each member's value is JSON already.
#[derive(Debug, Default)]
pub(crate) struct Object(String);

impl Object {
    /// Adds a text.
    pub(crate) fn text(self, name: &str, value: &str) -> Object {
        self.raw(name, &text(value))
    }

    /// Adds a text, or `null` where there is none.
    pub(crate) fn optional(self, name: &str, value: Option<&str>) -> Object {
        self.raw(name, &value.map_or_else(|| "null".into(), text))
    }

    /// Adds a number.
    pub(crate) fn number(self, name: &str, value: u64) -> Object {
        self.raw(name, &value.to_string())
    }

    /// Adds what is JSON already.
    pub(crate) fn raw(mut self, name: &str, json: &str) -> Object {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push_str(&Value::from(name).to_string());
        self.0.push(':');
        self.0.push_str(json);
        self
    }

    /// The object, on one line.
    pub(crate) fn end(self) -> String {
        if self.0.is_empty() { "{}".into() } else { self.0 + "}" }
    }
}

/// A text as JSON. What could drive a terminal is written by its number, also where JSON would let it stand.
pub(crate) fn text(value: &str) -> String {
    let mut quoted = String::new();
    for character in Value::from(value).to_string().chars() {
        if is_harmless(character) {
            quoted.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                quoted.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    quoted
}

/// An array of what is JSON already.
pub(crate) fn array(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_texts_are_escaped() {
        let inner = Object::default().text("z", "a\"\n\u{1b}").end();
        let object =
            Object::default().number("schema", 1).optional("b", None).raw("a", &array([inner])).end();
        assert_eq!(object, "{\"schema\":1,\"b\":null,\"a\":[{\"z\":\"a\\\"\\n\\u001b\"}]}");
        assert!(serde_json::from_str::<Value>(&object).is_ok());
        let hostile = "\u{9b}2J\u{202e}\u{7f}\u{e0041}é漢";
        let quoted = text(hostile);
        assert_eq!(quoted, "\"\\u009b2J\\u202e\\u007f\\udb40\\udc41é漢\"");
        assert_eq!(serde_json::from_str::<String>(&quoted).ok().as_deref(), Some(hostile));
        assert_eq!(Object::default().end(), "{}");
    }
}
