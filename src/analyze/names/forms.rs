//! Makes records as forms and data formats hold them, with fields in chance order and under chance names.

use std::ops::Range;

use super::corpus::{Document, Known};
use super::random::Random;
use super::values::Values;
use super::words::Words;
use crate::classify::names::Entity;

/// What fills a field, and what forms call it.
const FIELDS: [(&str, &str); 20] = [
    ("person", "name full_name fullName customer patient client Name contact_name author employee holder recipient"),
    ("first", "first_name firstName givenName vorname prenom nombre First"),
    ("last", "last_name lastName surname familyName nachname nom apellido Last"),
    ("address", "address Address home_address billing_address shippingAddress anschrift adresse direccion indirizzo"),
    ("street_line", "street street1 addressLine1 address_line_1 strasse rue calle via"),
    ("city_a", "city town locality ort ville ciudad City"),
    ("postcode", "zip zipcode postal_code postcode plz cp ZIP"),
    ("city", "hq capital destination place_of_birth branch region birthplace from origin"),
    ("country", "country Country nationality land pays pais country_name"),
    ("org", "company employer organisation organization Company vendor supplier school bank insurer firm workplace"),
    ("dob", "dob date_of_birth birthDate birthday DOB born geburtsdatum date_naissance fecha_nacimiento BirthDate"),
    ("date", "created updated_at date due issued_on expires last_login order_date start_date Datum timestamp"),
    ("health", "diagnosis condition medication allergy illness treatment prescription diagnose"),
    ("phone", "phone tel mobile fax phoneNumber"),
    ("email", "email mail e-mail contact"),
    ("id", "id order ref customer_id invoice ticket sku"),
    ("num", "count quantity age total status level version port size"),
    ("money", "amount price salary total balance fee"),
    ("job", "title role position job occupation"),
    ("job", "description comment note type category"),
];

/// `count` records.
pub fn documents(words: &Words, count: usize, seed: u64) -> Vec<Document> {
    let mut values = Values::new(words, Random::new(seed));
    (0..count).map(|_| record(&mut values)).collect()
}

fn record(values: &mut Values<'_>) -> Document {
    let mut fields: Vec<(&str, &str)> = FIELDS.to_vec();
    values.random().shuffle(&mut fields);
    let many = values.random().between(2, 7);
    fields.truncate(many);
    let style = values.random().below(STYLES.len());
    let mut text = STYLES[style].open.to_owned();
    let mut spans: Vec<(Range<usize>, Entity)> = Vec::new();
    for (at, (slot, names)) in fields.iter().enumerate() {
        let names: Vec<&str> = names.split(' ').collect();
        let name = values.random().pick(&names);
        let (value, entity) = values.of(slot);
        text.push_str(if at == 0 { "" } else { STYLES[style].between });
        text.push_str(&STYLES[style].field.replace('$', name));
        let start = text.len();
        text.push_str(&value);
        spans.extend(entity.map(|entity| (start..text.len(), entity)));
        text.push_str(&STYLES[style].end.replace('$', name));
    }
    text.push_str(STYLES[style].close);
    Document { text, spans, known: Known::All }
}

/// How a format writes a record; `$` is the field's name.
struct Style {
    open: &'static str,
    field: &'static str,
    end: &'static str,
    between: &'static str,
    close: &'static str,
}

const STYLES: [Style; 7] = [
    Style { open: "{\"", field: "$\": \"", end: "\"", between: ", \"", close: "}" },
    Style { open: "{\n  \"", field: "$\": \"", end: "\"", between: ",\n  \"", close: "\n}" },
    Style { open: "", field: "$: ", end: "", between: "\n", close: "\n" },
    Style { open: "", field: "$ = \"", end: "\"", between: "\n", close: "" },
    Style { open: "<record>", field: "<$>", end: "</$>", between: "", close: "</record>" },
    Style { open: "", field: "$: ", end: "", between: "; ", close: "" },
    Style { open: "Record(", field: "$='", end: "'", between: ", ", close: ")" },
];
