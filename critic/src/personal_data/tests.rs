//! Tests of the finder: tables of what is and what is not personal, and properties of its spans.

use proptest::prelude::*;

use super::{Kind, Span, find};

fn finds(text: &str) -> Vec<(Kind, &str)> {
    find(text).into_iter().map(|span| (span.kind, &text[span.start..span.end])).collect()
}

#[test]
fn what_is_personal_or_secret_is_found_whole() {
    let table: &[(Kind, &str, &str)] = &[
        (Kind::Email, "write to anna.k+x@mail.example.org.", "anna.k+x@mail.example.org"),
        (Kind::Email, "почта:ivan@пример.рф нет, ivan@example.ru да", "ivan@example.ru"),
        (Kind::Email, "邮箱foo@bar.com。", "foo@bar.com"),
        (Kind::Email, "<mailto:O'Neil@x-y.co.uk>", "O'Neil@x-y.co.uk"),
        (Kind::Phone, "ring +44 7700 900123 now", "+44 7700 900123"),
        (Kind::Phone, "+7 (916) 123-45-67", "+7 (916) 123-45-67"),
        (Kind::Phone, "tel:+79161234567", "+79161234567"),
        (Kind::Phone, "мой номер 8-916-123-45-67.", "8-916-123-45-67"),
        (Kind::Phone, "8 (495) 123-45-67 доб. 12", "8 (495) 123-45-67 доб. 12"),
        (Kind::Phone, "звони 89161234567", "89161234567"),
        (Kind::Phone, "(602)272-9781", "(602)272-9781"),
        (Kind::Phone, "345-899-3560x4587", "345-899-3560x4587"),
        (Kind::Phone, "001-253-366-9781", "001-253-366-9781"),
        (Kind::Phone, "+41 (0)96 471 07 95", "+41 (0)96 471 07 95"),
        (Kind::Phone, "03.93.92.16.85", "03.93.92.16.85"),
        (Kind::Phone, "call me on 9469 9966", "9469 9966"),
        (Kind::Phone, "My phone is 9498777106", "9498777106"),
        (Kind::Phone, "room 12 415-555-2671", "415-555-2671"),
        (Kind::Card, "pay 4111 1111 1111 1111 now", "4111 1111 1111 1111"),
        (Kind::Card, "4111-1111-1111-1111 12/27", "4111-1111-1111-1111"),
        (Kind::Card, "374883521588522", "374883521588522"),
        (Kind::Card, "MIR 2200 0000 0000 0053", "2200 0000 0000 0053"),
        (Kind::Iban, "to DE89 3704 0044 0532 0130 00 please", "DE89 3704 0044 0532 0130 00"),
        (Kind::Iban, "GB29NWBK60161331926819", "GB29NWBK60161331926819"),
        (Kind::Secret, "key sk-proj-Ab3dEfGh1jKlMn0pQrStUvWx", "sk-proj-Ab3dEfGh1jKlMn0pQrStUvWx"),
        (Kind::Secret, "(ghp_012345678901234567890123456789abcdef)", "ghp_012345678901234567890123456789abcdef"),
        (Kind::Secret, "github_pat_11ABCDEFG0123456789abc_x", "github_pat_11ABCDEFG0123456789abc_x"),
        (Kind::Secret, "AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
        (Kind::Secret, "xoxb-123456789012-abcdefABCDEF", "xoxb-123456789012-abcdefABCDEF"),
        (Kind::Secret, "AIzaSyA1234567890abcdefghijklmnopqrstuv", "AIzaSyA1234567890abcdefghijklmnopqrstuv"),
        (Kind::Secret, "hf_abcdefghijklmnopqrstuvwxyzABCDEFGH", "hf_abcdefghijklmnopqrstuvwxyzABCDEFGH"),
        (
            Kind::Secret,
            "t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0abc.s1g-_n",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0abc.s1g-_n",
        ),
        (Kind::Secret, "Authorization: Bearer abcDEF123456.ghi-789", "abcDEF123456.ghi-789"),
        (Kind::Secret, "authorization: bearer abcDEF123456.ghi-789", "abcDEF123456.ghi-789"),
        (Kind::Secret, "Authorization: Basic dXNlcjpwYXNz1w==", "dXNlcjpwYXNz1w=="),
        (
            Kind::Secret,
            "-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----",
        ),
        (Kind::Secret, "-----BEGIN PRIVATE KEY-----\ncut off", "-----BEGIN PRIVATE KEY-----\ncut off"),
        (Kind::Secret, "DB_PASSWORD=hunter2 next", "hunter2"),
        (Kind::Secret, "password: \"Tr0ub4dor&3\"", "Tr0ub4dor"),
        (Kind::Secret, "пароль: qwerty123", "qwerty123"),
        (Kind::Secret, "postgres://app:s3cr3t@db:5432/x", "s3cr3t"),
    ];
    for (kind, text, part) in table {
        assert!(finds(text).contains(&(*kind, *part)), "{text:?}: {:?}", finds(text));
    }
}

#[test]
fn what_only_looks_like_it_is_left_alone() {
    let table = [
        "version 10.15.7.1234 and 2.4.1",
        "2024-11-22 13:32:42",
        "22.11.2024",
        "11/22/2024 10:15",
        "550e8400-e29b-41d4-a716-446655440000",
        "12345678-1234-1234-1234-123456789012",
        "192.168.100.200:8080",
        "10.0.0.1",
        "3.14159265358979",
        "id 9161234567890123",
        "SSN 474-49-7577",
        "ISBN 978-3-16-148410-0",
        "1 234 567 890 people",
        "$1234567890",
        "sha 4f2a9916123456789",
        "12345-6789",
        "4111 1111 1111 1112",
        "1111 1111 1111 1111",
        "0000000000000000",
        "1732282362",
        "1732282362000",
        "DE89 3704 0044 0532 0130 01",
        "ES6 modules",
        "pip install sk-learn-contrib-extras-and-more",
        "image@2x.png",
        "react@18.2.0",
        "@decorator",
        "git@github.com:a/b.git",
        "user@host",
        "a @ b.com",
        "fn login(password: String, secret: &str)",
        "password = request.form[\"password\"]",
        "password: please type it",
        "password: ********",
        "api_key=$OPENAI_API_KEY",
        "the secret: nobody knows",
        "max_tokens=4096",
        "token_count: 12345",
        "AKIAshort",
        "eyJust a word",
        "Bearer of bad news",
        "http://host:8080/a@b",
        "-----BEGIN CERTIFICATE-----",
        "hf_hub_download(repo)",
        "pages 100-200-3000",
        "0.123456789",
        "1e-10 1234567.1234567",
        "x = 5551234567",
    ];
    for text in table {
        assert_eq!(finds(text), [], "{text:?}");
    }
}

#[test]
fn one_text_may_hold_many() {
    let text = "a@b.co, +7 916 123 45 67, 4111111111111111; c@d.co";
    let kinds: Vec<_> = find(text).iter().map(|span| span.kind).collect();
    assert_eq!(kinds, [Kind::Email, Kind::Phone, Kind::Card, Kind::Email]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn spans_are_sorted_apart_and_on_character_boundaries(text in pieces()) {
        let spans = find(&text);
        let mut from = 0;
        for Span { start, end, .. } in spans {
            prop_assert!(from <= start && start < end && end <= text.len(), "{text:?}");
            prop_assert!(text.is_char_boundary(start) && text.is_char_boundary(end), "{text:?}");
            from = end;
        }
    }
}

/// Texts made of what the recognisers look for, cut and glued at random, and of anything else.
fn pieces() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "@",
        "a@b.co",
        "sk-",
        "ghp_",
        "eyJ",
        ".eyJ",
        "Bearer ",
        "password",
        "=",
        ": ",
        "://",
        "+7",
        "(",
        ")",
        "-",
        " ",
        "4111111111111111",
        "DE89",
        "37040044053201300",
        "916",
        "-----BEGIN ",
        "PRIVATE KEY-----",
        "-----END ",
        "x12",
        "пароль",
        "é",
        "\u{a0}",
        "\"",
        "\\",
        "AKIA",
        "AIza",
        "0",
        "12",
        "345",
        "доб. ",
    ]);
    prop::collection::vec(prop_oneof![3 => known.prop_map(str::to_owned), 1 => "\\PC{0,8}"], 0..24)
        .prop_map(|parts| parts.concat())
}

#[test]
fn passport_numbers_are_found_by_the_words_before_them() {
    let table = [
        ("Passport No. AB1234567, issued in 2012", Some("AB1234567")),
        ("my passport number is 123456789.", Some("123456789")),
        ("Reisepass: C01X00T47", Some("C01X00T47")),
        ("паспорт 45 10 123456", Some("45 10 123456")),
        ("паспорт серия 4510 № 123456 выдан", Some("4510 № 123456")),
        ("Паспорт серии 45 10 номер 123456", Some("45 10 номер 123456")),
        ("загранпаспорт 751234567", Some("751234567")),
        ("order AB1234567 is on its way", None),
        ("passport photos cost 12 dollars since 2012", None),
        ("Bring your passport! Flight 1234567 leaves", None),
    ];
    for (text, expected) in table {
        let found = find(text).into_iter().find(|span| span.kind == Kind::Passport);
        assert_eq!(found.map(|span| &text[span.start..span.end]), expected, "{text}");
    }
}
