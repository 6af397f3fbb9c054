use super::*;
use crate::{RecordId, VEHICLES};

const FIELDS: [&str; 2] = ["nickname", "color"];

fn author(number: u128) -> Author {
    Author { op_id: Uuid::from_u128(number), at: Timestamp::UNIX_EPOCH, device_id: number.to_string() }
}

fn json(text: &str) -> FieldValue {
    FieldValue::of_json(Json::parse(text).expect("JSON")).expect("a value")
}

/// A replica with these fields, as JSON.
fn replica(fields: &[(&str, &str)]) -> Replica {
    let mut record = Record::new(&VEHICLES, RecordId(Uuid::nil()), Timestamp::UNIX_EPOCH);
    for (name, text) in fields {
        record.set_value(name, Some(json(text)));
    }
    Replica { record, conflicts: Conflicts::new() }
}

fn removed(mut replica: Replica) -> Replica {
    replica.record.deleted_at = Some(Timestamp::UNIX_EPOCH);
    replica
}

fn decoded(mut replica: Replica, name: &str) -> Replica {
    replica.record.set_origin(name, Origin::Decoded { from: "snapshot".to_owned(), month: None });
    replica
}

fn merged(base: &Replica, local: &Replica, current: &Replica) -> Replica {
    merge(Some(base), local, current, &author(1), &author(2))
}

/// The value, then the alternatives.
fn values(replica: &Replica, name: &str) -> Vec<Option<FieldValue>> {
    let alternatives = replica.conflicts.get(name).map(|it| it.alternatives.clone()).unwrap_or_default();
    let live = match name {
        REMOVAL => Some(FieldValue::Boolean(replica.record.is_removed())),
        name => replica.record.value(name),
    };
    let alternatives = alternatives.into_iter().map(|it| it.value.and_then(FieldValue::of_json));
    [live].into_iter().chain(alternatives).collect()
}

/// Every replica with each of three values in two fields, live or removed.
fn all() -> Vec<Replica> {
    let texts = [None, Some("\"Red\""), Some("\"Blue\"")];
    let mut all = Vec::new();
    for first in texts {
        for second in texts {
            let fields = FIELDS.into_iter().zip([first, second]).filter_map(|(name, text)| Some((name, text?)));
            let live = replica(&fields.collect::<Vec<_>>());
            all.extend([live.clone(), removed(live)]);
        }
    }
    all
}

#[test]
fn of_all_small_merges_none_loses_a_value_or_depends_on_what_did_not_change() {
    for base in all() {
        for local in all() {
            assert_eq!(merged(&base, &local, &base), local, "nothing changed there");
            assert_eq!(merged(&base, &base, &local), local, "nothing changed here");
            for current in all() {
                let result = merged(&base, &local, &current);
                let what = format!("{base:?}\n{local:?}\n{current:?}\n{result:?}");
                for name in FIELDS {
                    let [before, here, there] = [&base, &local, &current].map(|it| it.record.value(name));
                    let kept = values(&result, name);
                    assert!(here == before || kept.contains(&here), "{name} is lost here: {what}");
                    assert!(there == before || kept.contains(&there), "{name} is lost there: {what}");
                    let is_conflict = here != before && there != before && here != there;
                    assert_eq!(kept.len() > 1, is_conflict, "{what}");
                    assert_eq!(kept.len(), kept.iter().map(|it| format!("{it:?}")).collect::<BTreeSet<_>>().len());
                }
                // What is sent is accepted, and then nothing is left to merge.
                assert_eq!(merged(&current, &result, &current), result, "{what}");
                assert_eq!(merged(&result, &result, &result), result, "{what}");
                // The other side, which gets the result, has no changes of its own.
                assert_eq!(merged(&current, &current, &result), result, "{what}");
            }
        }
    }
}

#[test]
fn a_removal_stands_only_if_it_has_seen_what_it_removes() {
    let base = replica(&[("nickname", "\"Blue\"")]);
    let edited = replica(&[("nickname", "\"Blue\""), ("color", "\"Red\"")]);
    let gone = removed(base.clone());
    for (local, current) in [(&gone, &edited), (&edited, &gone)] {
        let result = merged(&base, local, current);
        assert!(!result.record.is_removed());
        assert_eq!(result.record.value("color"), Some(json("\"Red\"")));
        assert_eq!(values(&result, REMOVAL), [Some(json("false")), Some(json("true"))]);
    }
    assert!(merged(&edited, &removed(edited.clone()), &edited).record.is_removed(), "it has seen the edit");
    assert!(merged(&base, &gone, &gone).record.is_removed());
    let restored = merged(&gone, &base, &gone);
    assert!(!restored.record.is_removed() && restored.conflicts.is_empty());
    // The same edit on both sides is nothing new.
    let same = removed(edited.clone());
    assert!(merged(&base, &same, &edited).record.is_removed());
    // An alternative that the removal had not seen.
    let mut opposed = base.clone();
    opposed.conflicts.entry("color".to_owned()).or_default().add(alternative(&author(7), Some(json("1").to_json())));
    let result = merged(&base, &gone, &opposed);
    assert!(!result.record.is_removed());
    assert_eq!(result.conflicts.keys().collect::<Vec<_>>(), ["color", REMOVAL]);
}

#[test]
fn without_a_base_what_differs_is_a_conflict() {
    let (local, current) = (replica(&[("nickname", "\"Blue\"")]), replica(&[("nickname", "\"Red\"")]));
    let result = merge(None, &local, &current, &author(1), &author(2));
    assert_eq!(values(&result, "nickname"), [Some(json("\"Red\"")), Some(json("\"Blue\""))]);
    let alternative = &result.conflicts["nickname"].alternatives[0];
    assert_eq!((alternative.op_id, alternative.device_id.as_str()), (Uuid::from_u128(1), "1"));
    let result = merge(None, &removed(local.clone()), &local, &author(1), &author(2));
    assert_eq!((result.record.is_removed(), values(&result, REMOVAL).len()), (false, 2));
    assert_eq!(merge(None, &local, &local, &author(1), &author(2)), local);
}

#[test]
fn a_choice_counts_as_a_write_also_of_the_same_value() {
    let mut base = replica(&[("color", "\"Red\"")]);
    base.conflicts
        .entry("color".to_owned())
        .or_default()
        .add(alternative(&author(7), Some(json("\"Blue\"").to_json())));
    let chosen = |color: &str, decision: u128| {
        let mut chosen = replica(&[("color", color)]);
        let conflict = Conflict { decision: Some(Uuid::from_u128(decision)), alternatives: Vec::new() };
        chosen.conflicts.insert("color".to_owned(), conflict);
        chosen
    };
    let red = chosen("\"Red\"", 1);
    assert_eq!(merged(&base, &red, &base), red, "the alternative stays closed");
    assert_eq!(merged(&base, &base, &red), red);
    let result = merged(&base, &chosen("\"Blue\"", 2), &red);
    assert_eq!(values(&result, "color"), [Some(json("\"Red\"")), Some(json("\"Blue\""))], "two choices are a conflict");
    assert_eq!(result.conflicts["color"].decision, Some(Uuid::from_u128(1)));
    let same = merged(&base, &chosen("\"Red\"", 2), &red);
    assert_eq!((values(&same, "color").len(), same.conflicts["color"].decision), (1, Some(Uuid::from_u128(1))));
    let edited = replica(&[("color", "\"Green\"")]);
    let result = merged(&base, &edited, &red);
    assert_eq!(values(&result, "color"), [Some(json("\"Red\"")), Some(json("\"Green\""))]);
}

#[test]
fn alternatives_are_a_set_that_both_sides_change() {
    let with = |ids: &[u128]| {
        let mut replica = replica(&[("color", "\"Red\"")]);
        let conflict = replica.conflicts.entry("color".to_owned()).or_default();
        for id in ids {
            conflict.add(alternative(&author(*id), Some(json(&id.to_string()).to_json())));
        }
        replica.conflicts.retain(|_, conflict| *conflict != Conflict::default());
        replica
    };
    for (base, local, current, expected) in [
        (&[][..], &[1][..], &[2][..], &[1, 2][..]),
        (&[1], &[1], &[1, 2], &[1, 2]),
        (&[1, 2], &[1], &[2], &[]),
        (&[1, 2], &[1, 3], &[1, 2], &[1, 3]),
        (&[1], &[], &[1], &[]),
    ] {
        let result = merged(&with(base), &with(local), &with(current));
        let alternatives = |replica: &Replica| replica.conflicts.get("color").map(|it| it.alternatives.clone());
        let expected = alternatives(&with(expected)).unwrap_or_default();
        assert_eq!(alternatives(&result).unwrap_or_default(), expected, "{base:?} {local:?} {current:?}");
    }
}

#[test]
fn decoded_values_and_defaults_yield_to_typed_ones() {
    let base = replica(&[]);
    let typed = replica(&[("make", "\"Mine\"")]);
    let from_vin = decoded(replica(&[("make", "\"HONDA\"")]), "make");
    for (local, current) in [(&typed, &from_vin), (&from_vin, &typed)] {
        let result = merged(&base, local, current);
        assert_eq!(values(&result, "make"), [Some(json("\"Mine\""))]);
        assert_eq!(result.record.origin("make"), Origin::Typed);
    }
    let same = decoded(typed.clone(), "make");
    assert_eq!(merged(&base, &typed, &same).record.origin("make"), Origin::Typed, "a person typed it");
    let other = decoded(replica(&[("make", "\"ACURA\"")]), "make");
    assert_eq!(values(&merged(&base, &from_vin, &other), "make"), [Some(json("\"ACURA\""))], "the server's");
}

#[test]
fn a_number_and_its_unit_are_one_value() {
    let reading = |number: &str, unit: &str| replica(&[("odometerReading", number), ("odometerUnit", unit)]);
    let base = reading("100", "\"mi\"");
    let result = merged(&base, &reading("160", "\"km\""), &reading("110", "\"mi\""));
    assert_eq!(values(&result, "odometerReading"), [Some(json("110")), Some(json("160"))]);
    assert_eq!(values(&result, "odometerUnit"), [Some(json("\"mi\"")), Some(json("\"km\""))]);
    let result = merged(&base, &reading("100", "\"km\""), &base);
    assert_eq!(values(&result, "odometerUnit"), [Some(json("\"km\""))]);
}

#[test]
fn of_two_readings_of_service_entries_the_later_stands() {
    let reading = |number: &str, date: &str| {
        let mut reading = replica(&[("odometerReading", number)]);
        let origin = Origin::Entry { entry: RecordId(Uuid::nil()), date: date.parse().expect("a date") };
        reading.record.set_origin("odometerReading", origin);
        reading
    };
    let base = replica(&[]);
    for (local, current, kept) in [
        (reading("5", "2026-05-01"), reading("9", "2026-03-14"), "5"),
        (reading("9", "2026-03-14"), reading("5", "2026-05-01"), "5"),
        (reading("5", "2026-03-14"), reading("9", "2026-03-14"), "9"),
        (reading("9", "2026-03-14"), reading("5", "2026-03-14"), "9"),
    ] {
        assert_eq!(values(&merged(&base, &local, &current), "odometerReading"), [Some(json(kept))]);
    }
    let typed = replica(&[("odometerReading", "7")]);
    assert_eq!(values(&merged(&base, &typed, &reading("9", "2026-03-14")), "odometerReading").len(), 2);
}

#[test]
fn unknown_fields_are_merged_like_others() {
    let base = replica(&[("wheels", "{\"n\":4}")]);
    let result =
        merged(&base, &replica(&[("wheels", "{\"n\":6}")]), &replica(&[("wheels", "{\"n\":4}"), ("x", "1.50")]));
    assert_eq!(values(&result, "wheels"), [Some(json("{\"n\":6}"))]);
    assert_eq!(values(&result, "x"), [Some(json("1.50"))]);
}

/// Adds an alternative to the conflict of a field.
fn opposed(mut replica: Replica, name: &str, text: &str, id: u128) -> Replica {
    replica.conflicts.entry(name.to_owned()).or_default().add(alternative(&author(id), Some(json(text).to_json())));
    replica
}

fn decided(mut replica: Replica, name: &str, id: u128) -> Replica {
    replica
        .conflicts
        .insert(name.to_owned(), Conflict { decision: Some(Uuid::from_u128(id)), alternatives: Vec::new() });
    replica
}

#[test]
fn a_merge_that_closes_a_conflict_of_the_server_counts_as_a_choice() {
    let base = replica(&[("color", "\"Red\"")]);
    let current = opposed(base.clone(), "color", "\"Blue\"", 7);
    let blue = replica(&[("color", "\"Blue\"")]);
    assert_eq!(merged(&base, &blue, &current), decided(blue, "color", 1));
    // Both have closed it; the choice of the server is one already.
    let chosen = decided(base.clone(), "color", 8);
    assert_eq!(merged(&current, &decided(base, "color", 9), &chosen), chosen);
}

#[test]
fn of_two_alternatives_with_one_value_the_servers_stays() {
    let base = replica(&[("color", "\"Red\"")]);
    let [local, current] = [3, 7].map(|id| opposed(base.clone(), "color", "\"Blue\"", id));
    assert_eq!(merged(&base, &local, &current), current);
}

#[test]
fn a_choice_to_keep_a_record_is_a_write_that_a_removal_has_to_see() {
    let live = replica(&[("color", "\"Red\"")]);
    let asked = opposed(live.clone(), REMOVAL, "true", 7);
    let kept = decided(live.clone(), REMOVAL, 8);
    let gone = removed(live.clone());
    for (local, current, author) in [(&kept, &gone, 2), (&gone, &kept, 1)] {
        let result = merged(&asked, local, current);
        assert!(!result.record.is_removed());
        let conflict = &result.conflicts[REMOVAL];
        assert_eq!(conflict.decision, Some(Uuid::from_u128(8)), "who has removed it learns of the choice");
        assert_eq!(conflict.alternatives.iter().map(|it| it.op_id).collect::<Vec<_>>(), [Uuid::from_u128(author)]);
    }
    // A removal that has seen the choice stands, and closes what is asked about it.
    let result = merged(&kept, &removed(kept.clone()), &opposed(kept.clone(), REMOVAL, "true", 9));
    assert!(result.record.is_removed() && result.conflicts[REMOVAL].alternatives.is_empty());
    assert_eq!(result.conflicts[REMOVAL].decision, Some(Uuid::from_u128(1)));
    // Both have chosen the same: the server's choice stands, or the only one.
    let again = decided(live, REMOVAL, 9);
    assert_eq!(merged(&asked, &again, &kept), kept);
    assert_eq!(merged(&asked, &kept, &asked), kept);
    // Without a common state it may be that neither has seen the other.
    let result = merge(None, &gone, &kept, &author(1), &author(2));
    assert_eq!((result.record.is_removed(), result.conflicts[REMOVAL].alternatives.len()), (false, 1));
}

#[test]
fn a_removal_need_not_see_the_value_that_it_has_nor_an_opposed_removal() {
    let base = replica(&[("color", "\"Red\"")]);
    let blue = replica(&[("color", "\"Blue\"")]);
    let asked = opposed(base.clone(), "color", "\"Blue\"", 7);
    assert!(merged(&base, &removed(blue.clone()), &asked).record.is_removed(), "it has the alternative");
    assert!(merged(&asked, &removed(asked.clone()), &asked).record.is_removed(), "it has seen the alternative");
    assert!(!merged(&base, &removed(base.clone()), &asked).record.is_removed(), "it has not");
    assert!(!merged(&base, &asked, &removed(base.clone())).record.is_removed(), "the same on the server");
    let removal = opposed(base.clone(), REMOVAL, "true", 7);
    assert!(merged(&base, &removed(base.clone()), &removal).record.is_removed());
}
