//! Names of schemas in bodies and strings.

use super::*;

const BODY: &str = "CREATE FUNCTION shop.f() RETURNS int LANGUAGE plpgsql AS $function$@$function$";

#[test]
fn bodies_and_strings_that_name_the_schema_are_told() {
    let cases = [
        ("SELECT * FROM shop.t", 1),
        ("SELECT * FROM Shop.t", 1),
        ("SELECT * FROM \"shop\".t", 1),
        ("SELECT * FROM \"Shop\".t", 0),
        ("SELECT * FROM workshop.t, shop_2.t, shop$.t, shopß.t", 0),
        ("BEGIN EXECUTE 'SELECT * FROM shop.t'; END", 1),
        ("BEGIN EXECUTE $q$SELECT * FROM shop.t$q$; END", 1),
        ("BEGIN PERFORM format('%I.t', 'shop'); END", 1),
        ("-- of shop.t\n/* and shop */ SELECT 'workshop'", 0),
        ("BEGIN x := 'that nothing ends; shop.t", 1),
    ];
    for (body, expected) in cases {
        let found = bodies_naming(&BODY.replace('@', body), "shop").unwrap();
        assert_eq!(found, vec!["its body"; expected], "{body}");
    }
    let strings: &[(&str, &[&str])] = &[
        ("ALTER TABLE shop.t ALTER a SET DEFAULT nextval('shop.s'::regclass)", &["the string 'shop.s'"]),
        ("CREATE POLICY p ON shop.t USING (current_setting('x') = ANY (ARRAY['a', 'SHOP']))", &["the string 'SHOP'"]),
        (
            "CREATE FUNCTION shop.f(a text DEFAULT 'shop') RETURNS int LANGUAGE sql SET search_path TO 'shop' AS 'SELECT 1 FROM shop.t'",
            &["the string 'shop'", "its body"],
        ),
        ("COMMENT ON TABLE shop.t IS 'all of the shop'", &[]),
        ("CREATE TYPE shop.place AS ENUM ('shop', 'street')", &[]),
        ("CREATE TABLE shop.t (a int)", &[]),
    ];
    for (sql, expected) in strings {
        assert_eq!(bodies_naming(sql, "shop").unwrap(), *expected, "{sql}");
    }
    assert_eq!(bodies_naming("SELECT 'the o''brien', E'a\\\\b'", "o'brien").unwrap().len(), 1);
}

#[test]
fn bodies_and_strings_are_rewritten() {
    let cases = [
        ("SELECT shop.f('shop.t', 'workshop') -- shop", "new", "SELECT new.f('new.t', 'workshop') -- shop"),
        ("SELECT \"shop\".f(Shop.a)", "My Shop", "SELECT \"My Shop\".f(\"My Shop\".a)"),
        ("EXECUTE 'SELECT ''shop'', \"shop\".x'", "new", "EXECUTE 'SELECT ''new'', \"new\".x'"),
        ("EXECUTE E'a\\n''shop\\\\'", "new", "EXECUTE E'a\n''new\\\\'"),
        ("EXECUTE $q$ shop.t $q$", "new", "EXECUTE $q$ new.t $q$"),
    ];
    for (body, to, expected) in cases {
        assert_eq!(rewrite_body(&BODY.replace('@', body), "shop", to).unwrap(), BODY.replace('@', expected), "{body}");
    }
    let plain =
        rewrite_body("CREATE FUNCTION x.f() RETURNS int LANGUAGE sql AS 'SELECT ''shop'' FROM shop.t'", "shop", "new");
    assert_eq!(plain.unwrap(), "CREATE FUNCTION x.f() RETURNS int LANGUAGE sql AS 'SELECT ''new'' FROM new.t'");
    let quoted = rewrite_body("CREATE FUNCTION x.f() RETURNS int LANGUAGE sql AS $a$SELECT shop.a$a$", "shop", "$a$");
    assert_eq!(quoted.unwrap(), "CREATE FUNCTION x.f() RETURNS int LANGUAGE sql AS $a_$SELECT \"$a$\".a$a_$");
    let error = rewrite_body("SELECT 'shop.t'", "shop", "My Shop").unwrap_err().to_string();
    assert!(error.contains("can't be put without quotes"), "{error}");
    assert_eq!(rewrite_body("no SQL", "shop", "new").unwrap(), "no SQL");
}
