//! `garage sync`, `status`, `conflicts`, `resolve` and `refused`.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use garage_core::{
    ChangeListener, Garage, RecordId,
    domain::{Collection, FieldValue, conflict::REMOVAL},
    sync::{
        Activity, Attention, Choice, Comparison, Difference, Exchanged, OpenConflict, OtherValue, Refusal, SyncError,
        SyncStatus,
    },
};
use serde_json::json;
use tokio::sync::Notify;

use crate::{
    args::{RefusedCommand, ResolveArgs, SyncArgs},
    failure::Failure,
    files::as_words,
    garage::{Missing, config, with_garage},
    table::{local_time, print_json, printable, write_pairs},
};

/// How long to wait for a pass of the app.
const WAIT_FOR_OTHERS: Duration = Duration::from_secs(60);

/// How many differences are listed; a person who needs more takes `--json`.
const MOST_LISTED: usize = 20;

async fn list_differences(garage: &Garage, comparison: &Comparison) -> Result<(), Failure> {
    let Comparison { differences, only_here, only_on_server, .. } = comparison;
    let mut out = io::stdout().lock();
    for difference in differences.iter().take(MOST_LISTED) {
        let Difference { collection, record_id, field, here, on_server } = difference;
        let name = name_of(garage, collection, *record_id).await;
        let all = |values: &[Option<FieldValue>]| {
            values.iter().map(|value| shown(field, value.as_ref())).collect::<Vec<_>>().join(" or ")
        };
        let (here, on_server) = (all(here), all(on_server));
        let line = format!("{name}, {}: {here} in the backup, {on_server} on the server", field_name(field));
        writeln!(out, "{}", printable(&line))?;
    }
    if differences.len() > MOST_LISTED {
        writeln!(out, "and {} more differences", differences.len() - MOST_LISTED)?;
    }
    for (count, place) in [(*only_here, "in the backup"), (*only_on_server, "on the server")] {
        if count > 0 {
            let (noun, them) = if count == 1 { ("record is", "it stays") } else { ("records are", "they stay") };
            writeln!(out, "{count} {noun} only {place}; {them} with either decision")?;
        }
    }
    writeln!(out, "To take the server's values: garage sync --take server")?;
    writeln!(out, "To send the backup's values: garage sync --take backup")?;
    Ok(())
}

/// `garage sync`.
pub async fn sync(garage_file: Option<PathBuf>, args: SyncArgs) -> Result<ExitCode, Failure> {
    let json = args.output.json;
    if args.watch {
        let changed = Arc::new(Notify::new());
        let notified = changed.clone();
        let listener = ChangeListener::new(move |_| notified.notify_one());
        let garage = Garage::open(config(garage_file)?, listener).await?;
        if let Err(failure) = decide(&garage, &args).await {
            garage.close().await;
            return Err(failure);
        }
        let ended = keep_synced(&garage, &changed, json).await;
        garage.close().await;
        return ended;
    }
    with_garage(garage_file, Missing::IsRefused, async |garage| {
        decide(garage, &args).await?;
        let exchanged = pass(garage).await?;
        report(garage, &exchanged, json).await?;
        Ok(ExitCode::SUCCESS)
    })
    .await
}

/// Does what a person has decided. A restored garage without a decision is compared with the server, and refused.
async fn decide(garage: &Garage, args: &SyncArgs) -> Result<(), Failure> {
    if args.merge {
        garage.accept_other_database().await?;
    }
    if args.accept_removals {
        garage.accept_removals().await?;
    }
    if garage.sync_status().await?.attention != Some(Attention::Restored) {
        return Ok(());
    }
    let session = garage.session().await?;
    let comparison = garage.compare(&session).await?;
    if let Some(whose) = args.take {
        return Ok(garage.choose_after_restore(whose.into(), &comparison).await?);
    }
    if args.output.json {
        print_json(&comparison)?;
    } else {
        list_differences(garage, &comparison).await?;
    }
    Err(SyncError::Attention(Attention::Restored).into())
}

async fn pass(garage: &Garage) -> Result<Exchanged, SyncError> {
    let session = garage.session().await?;
    garage.sync(&session, WAIT_FOR_OTHERS, |_| ()).await
}

async fn report(garage: &Garage, exchanged: &Exchanged, json: bool) -> Result<(), Failure> {
    let status = garage.sync_status().await?;
    if json {
        let Exchanged { sent, received, requests, .. } = exchanged;
        let state = state(&status);
        print_json(&json!({
            "sent": sent, "received": received, "requests": requests, "state": state.0, "status": status,
        }))?;
    } else {
        println!("Sent {}, received {}", changes(exchanged.sent), changes(exchanged.received));
        println!("{}", state(&status).1);
    }
    Ok(())
}

fn changes(count: usize) -> String {
    if count == 1 { "1 change".to_owned() } else { format!("{count} changes") }
}

/// Syncs after each change on this device and now and then, until Ctrl-C.
async fn keep_synced(garage: &Garage, changed: &Notify, json: bool) -> Result<ExitCode, Failure> {
    let watched = garage.watch_others();
    if let Err(error) = &watched {
        eprintln!("Edits of other programs are noticed late: {}", printable(&error.to_string()));
    }
    let (activities, mut happened) = tokio::sync::mpsc::unbounded_channel();
    let wanted = Notify::new();
    // Nobody listens to the last one.
    let kept = garage.keep_synced(changed, &wanted, |activity| drop(activities.send(activity)));
    let reported = async {
        while let Some(activity) = happened.recv().await {
            match activity {
                Activity::Syncing => {}
                Activity::Synced(exchanged) if exchanged.sent + exchanged.received == 0 && !json => {}
                Activity::Synced(exchanged) => report(garage, &exchanged, json).await?,
                Activity::Waiting(error, _) => eprintln!("{}", printable(&error.to_string())),
                Activity::Stopped(error) => return Err(error.into()),
            }
        }
        Ok(ExitCode::SUCCESS)
    };
    tokio::select! {
        () = kept => Ok(ExitCode::SUCCESS),
        ended = reported => ended,
        _ = tokio::signal::ctrl_c() => Ok(ExitCode::SUCCESS),
    }
}

/// `garage status`.
pub async fn status(garage_file: Option<PathBuf>, json: bool) -> Result<ExitCode, Failure> {
    let status = with_garage(garage_file, Missing::IsRefused, async |garage| Ok(garage.sync_status().await?)).await?;
    let (name, words) = state(&status);
    if json {
        print_json(&json!({ "state": name, "status": status }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let count = |count: u64, words: &str| (count > 0).then(|| format!("{count}{words}"));
    let pairs = [
        ("State", Some(words)),
        ("Server", status.server.clone()),
        ("Account", status.email.clone()),
        ("Waiting to be sent", count(status.waiting, "")),
        ("On this device only", on_this_device_only(&status)),
        ("Conflicts", count(status.conflicts, "; to list them: garage conflicts")),
        ("Refused by the server", count(status.refused, "; to list them: garage refused")),
        ("Last synced", status.synced_at.map(local_time)),
    ];
    write_pairs(&mut io::stdout().lock(), &pairs)?;
    Ok(ExitCode::SUCCESS)
}

/// The state in one word for programs, and in a sentence.
fn state(status: &SyncStatus) -> (&'static str, String) {
    match (&status.attention, &status.server) {
        (_, None) => ("localOnly", "On this device only. To sync: garage sign-in URL --email EMAIL".to_owned()),
        (Some(Attention::OtherDatabase { .. }), _) => (
            "needsAttention",
            "The server's database is not the one that this garage was synced with. To merge both: garage sync --merge"
                .to_owned(),
        ),
        (Some(Attention::Restored), _) => (
            "needsAttention",
            "Restored from a backup. To see what differs from the server, and to decide: garage sync".to_owned(),
        ),
        (Some(Attention::Removals { missing, .. }), _) => (
            "needsAttention",
            format!(
                "{} on the server, which are more than half. To remove them here: garage sync --accept-removals",
                if *missing == 1 { "1 record is missing".to_owned() } else { format!("{missing} records are missing") }
            ),
        ),
        (Some(Attention::Differs), _) => {
            ("needsAttention", "This garage and the server differ, although everything was read again".to_owned())
        }
        _ if status.refused > 0 => ("needsAttention", "The server has refused something".to_owned()),
        _ if status.conflicts > 0 => ("needsAttention", "There are conflicts to settle".to_owned()),
        _ if status.waiting > 0 => ("waiting", format!("{} waiting to be sent", records(status.waiting))),
        _ => match status.synced_at {
            Some(at) => ("synced", synced(status, &local_time(at))),
            None => ("waiting", "Not synced yet".to_owned()),
        },
    }
}

/// What was synced, and what the server does not take.
fn synced(status: &SyncStatus, at: &str) -> String {
    match (&status.collections, on_this_device_only(status)) {
        (Some(collections), Some(here)) => {
            let names: Vec<String> = collections.iter().map(|name| as_words(name)).collect();
            format!("Synced {} at {at}; on this device only: {here}", names.join(" and "))
        }
        _ => format!("Synced at {at}"),
    }
}

/// What the server does not take, such as `2 service entries, details of 1 vehicles`.
fn on_this_device_only(status: &SyncStatus) -> Option<String> {
    let is_taken = |name: &String| status.collections.as_ref().is_some_and(|collections| collections.contains(name));
    let one = |(name, count): (&String, &u64)| {
        let details = if is_taken(name) { "details of " } else { "" };
        format!("{details}{count} {}", as_words(name))
    };
    let all: Vec<String> = status.on_this_device_only.iter().map(one).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

fn records(count: u64) -> String {
    if count == 1 { "1 record is".to_owned() } else { format!("{count} records are") }
}

/// `garage conflicts`.
pub async fn conflicts(garage_file: Option<PathBuf>, json: bool) -> Result<ExitCode, Failure> {
    with_garage(garage_file, Missing::IsRefused, async |garage| {
        let conflicts = garage.conflicts().await?;
        if json {
            print_json(&conflicts)?;
        } else if conflicts.is_empty() {
            println!("There are no conflicts");
        } else {
            let mut out = io::stdout().lock();
            for (number, conflict) in (1..).zip(&conflicts) {
                show(&mut out, number, conflict, &name_of(garage, &conflict.collection, conflict.record_id).await)?;
            }
            writeln!(out, "To settle one: garage resolve NUMBER keep, or garage resolve NUMBER a, b, ...")?;
        }
        Ok(ExitCode::SUCCESS)
    })
    .await
}

fn show(out: &mut impl Write, number: usize, conflict: &OpenConflict, name: &str) -> io::Result<()> {
    writeln!(out, "{number}. {}: {}", printable(name), printable(&field_name(&conflict.field)))?;
    let mut pairs =
        vec![("keep".to_owned(), Some(format!("{} (now)", shown(&conflict.field, conflict.value.as_ref()))))];
    for (letter, other) in ('a'..='z').zip(&conflict.alternatives) {
        let OtherValue { value, at, device_id, .. } = other;
        let device = if device_id.is_empty() { "another program".to_owned() } else { format!("device {device_id:.8}") };
        let value = shown(&conflict.field, value.as_ref());
        pairs.push((letter.to_string(), Some(format!("{value} ({}, {device})", local_time(*at)))));
    }
    write_pairs(out, &pairs)
}

fn field_name(field: &str) -> String {
    if field == REMOVAL { "removed or not".to_owned() } else { field.to_owned() }
}

fn shown(field: &str, value: Option<&FieldValue>) -> String {
    match (field, value) {
        (REMOVAL, Some(FieldValue::Boolean(true))) => "removed".to_owned(),
        (REMOVAL, _) => "not removed".to_owned(),
        (_, None) => "empty".to_owned(),
        (_, Some(value)) => value.to_string(),
    }
}

/// What a person calls the record: its noun and, of a vehicle, its name.
async fn name_of(garage: &Garage, collection: &str, id: RecordId) -> String {
    let noun = Collection::by_name(collection).map_or(collection, |collection| collection.noun);
    match garage.vehicle_or_removed(id).await {
        Ok(vehicle) if collection == garage_core::VEHICLES.name => {
            let fields = vehicle.fields;
            let name = fields.nickname.or(fields.license_plate).or(fields.vin.map(|vin| vin.to_string()));
            format!("{noun} {}", name.unwrap_or_else(|| id.to_string()))
        }
        _ => format!("{noun} {id}"),
    }
}

/// `garage resolve`.
pub async fn resolve(garage_file: Option<PathBuf>, args: ResolveArgs) -> Result<ExitCode, Failure> {
    with_garage(garage_file, Missing::IsRefused, async |garage| {
        let conflicts = garage.conflicts().await?;
        let unclear = |what: String| Failure::Unclear(format!("{what}. `garage conflicts` lists them"));
        let conflict = args.number.checked_sub(1).and_then(|index| conflicts.get(index));
        let conflict = conflict.ok_or_else(|| unclear(format!("There is no conflict {}", args.number)))?;
        let choice = choice(&conflict.alternatives, &args.choice)
            .ok_or_else(|| unclear(format!("The conflict {} has no value {}", args.number, args.choice)))?;
        let collection = Collection::by_name(&conflict.collection)
            .ok_or_else(|| unclear(format!("This version cannot settle conflicts of {}", conflict.collection)))?;
        garage.resolve(collection, conflict.record_id, &conflict.field, choice).await?;
        let left = garage.conflicts().await?.len();
        if args.output.json {
            print_json(&json!({ "conflicts": left }))?;
        } else {
            println!("Settled; {left} left");
        }
        Ok(ExitCode::SUCCESS)
    })
    .await
}

/// `keep`, a letter, or the id of another value.
fn choice(others: &[OtherValue], text: &str) -> Option<Choice> {
    if text == "keep" {
        return Some(Choice::Kept);
    }
    let of_letter = ('a'..='z').zip(others).find(|(letter, _)| text == letter.to_string()).map(|(_, other)| other);
    let other = of_letter.or_else(|| others.iter().find(|other| other.id.to_string() == text))?;
    Some(Choice::Other(other.id))
}

/// `garage refused`.
pub async fn refused(
    garage_file: Option<PathBuf>,
    command: Option<RefusedCommand>,
    json: bool,
) -> Result<ExitCode, Failure> {
    with_garage(garage_file, Missing::IsRefused, async |garage| {
        let refusals = garage.refusals().await?;
        match command {
            None | Some(RefusedCommand::List) => list_refused(garage, &refusals, json).await?,
            Some(RefusedCommand::Retry { number }) => {
                let refusal = numbered(&refusals, number)?;
                garage.retry_refused(&refusal.collection, refusal.record_id).await?;
                done("It is sent again with the next sync", garage, json).await?;
            }
            Some(RefusedCommand::Discard { number }) => {
                let refusal = numbered(&refusals, number)?;
                garage.discard_refused(&refusal.collection, refusal.record_id).await?;
                done("It is as on the server again", garage, json).await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
    .await
}

async fn done(message: &str, garage: &Garage, json: bool) -> Result<(), Failure> {
    if json {
        print_json(&json!({ "refused": garage.refusals().await?.len() }))?;
    } else {
        println!("{message}");
    }
    Ok(())
}

fn numbered(refusals: &[Refusal], number: usize) -> Result<&Refusal, Failure> {
    let refusal = number.checked_sub(1).and_then(|index| refusals.get(index));
    refusal.ok_or_else(|| Failure::Unclear(format!("Nothing refused has the number {number}; see `garage refused`")))
}

async fn list_refused(garage: &Garage, refusals: &[Refusal], json: bool) -> Result<(), Failure> {
    if json {
        print_json(&refusals)?;
        return Ok(());
    }
    if refusals.is_empty() {
        println!("The server has refused nothing");
        return Ok(());
    }
    let mut out = io::stdout().lock();
    for (number, refusal) in (1..).zip(refusals) {
        let name = name_of(garage, &refusal.collection, refusal.record_id).await;
        let what = match &refusal.field {
            Some(field) => format!(", {}: {}", field_name(field), shown(field, refusal.value.as_ref())),
            None => String::new(),
        };
        writeln!(out, "{number}. {}{}", printable(&name), printable(&what))?;
        writeln!(out, "   {}", printable(&refusal.reason))?;
    }
    writeln!(out, "Edit the field to correct it; or: garage refused retry NUMBER, garage refused discard NUMBER")?;
    Ok(())
}
