//! A schema's name in SQL, replaced by a word that is no schema's.

/// What stands for the schema's name. Not an identifier that anybody would choose.
pub(super) const WORD: &str = "this_schema__";

/// Replaces each use of a schema's name as a word, quoted or not.
pub(super) fn without_schema(text: &str, schema: &str) -> String {
    let quoted = format!("\"{}\"", schema.replace('"', "\"\""));
    replace_words(&text.replace(&quoted, WORD), schema)
}

fn replace_words(text: &str, word: &str) -> String {
    let (mut replaced, mut rest) = (String::with_capacity(text.len()), text);
    let mut before = None;
    while let Some((head, tail)) = rest.split_once(word) {
        let previous = head.chars().next_back().or(before);
        let stands_alone = ![previous, tail.chars().next()].into_iter().flatten().any(continues_a_word);
        replaced.push_str(head);
        replaced.push_str(if stands_alone { WORD } else { word });
        before = word.chars().next_back();
        rest = tail;
    }
    replaced.push_str(rest);
    replaced
}

fn continues_a_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '$'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_words_are_the_name() {
        for (text, replaced) in [
            ("a.t", "this_schema__.t"),
            ("\"a\".\"T\"", "this_schema__.\"T\""),
            ("'a.s'::regclass", "'this_schema__.s'::regclass"),
            ("aa.t a_.t a$.t éa.t b_a.t", "aa.t a_.t a$.t éa.t b_a.t"),
            ("aaa", "aaa"),
            ("SCHEMA a", "SCHEMA this_schema__"),
        ] {
            assert_eq!(without_schema(text, "a"), replaced);
        }
        assert_eq!(without_schema(r#""a ""b"".".t"#, r#"a "b"."#), "this_schema__.t");
    }
}
