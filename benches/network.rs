//! A push to live over a network that takes its time, against the bare `git pull --ff-only && git submodule update --init
//! --recursive`: of eight submodules the same one is moved again, another one, all, or none.
//!
//! `cargo bench --bench network -- [PAIRS] [same] [another] [eight] [none] [redelivery]`
//!
//! Each row is run with a round trip of 40 and of 100 ms. Their difference tells how many round trips one has to wait for
//! another; beside it stand the connections that were opened, the requests that were sent, and how many round trips had to
//! wait for one another in one push, by git alone and here.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark starts programs and prints figures"
)]

mod lab;

use std::time::Duration;

use anyhow::Result;

use lab::origin::{self, Origin};
use lab::proxy::Proxy;
use lab::race::Race;
use lab::upstream::World;
use lab::{Args, Lab, Pairs, head};

const PAIRS: usize = 15;

/// No new pair of a row begins after this.
const ROW: Duration = Duration::from_mins(1);

const WIDTH: usize = 40;

const SUBMODULES: usize = 8;

const ROUND_TRIPS_MS: [u64; 2] = [40, 100];

/// What a push moves.
#[derive(Clone, Copy)]
enum Moves {
    TheSame,
    Another,
    All,
    None,
    /// Nothing was pushed.
    Nothing,
}

impl Moves {
    const ALL: [(&'static str, Self, &'static str); 5] = [
        ("same", Self::TheSame, "1 of 8 submodules, the same again"),
        ("another", Self::Another, "1 of 8 submodules, another one"),
        ("eight", Self::All, "8 of 8 submodules"),
        ("none", Self::None, "none of 8 submodules"),
        ("redelivery", Self::Nothing, "a redelivery, nothing new"),
    ];

    fn push(self, world: &mut World<'_>, round: usize) -> Result<()> {
        match self {
            Self::TheSame => world.push([0]),
            Self::Another => world.push([round % SUBMODULES]),
            Self::All => world.push(0..SUBMODULES),
            Self::None => world.push([]),
            Self::Nothing => Ok(()),
        }
    }
}

fn main() -> Result<()> {
    origin::serve_if_asked()?;
    let args = Args::read();
    let lab = Lab::new()?;
    lab.describe();
    let origin = Origin::start(&lab)?;
    println!("a push to live, spawn to answer; base is git pull && git submodule update");
    println!("{}", head("row", WIDTH));
    for (word, moves, row) in Moves::ALL {
        if !args.wants(word) {
            continue;
        }
        let mut ours = Vec::new();
        for round_trip in ROUND_TRIPS_MS {
            let proxy = Proxy::start(origin.host(), Duration::from_millis(round_trip))?;
            let name = format!("{word}-{round_trip}");
            let url = proxy.url(&format!("me/{name}.git"));
            let mut race = Race::new(&lab, &name, 1000, SUBMODULES, |_| url.clone())?;
            let pairs = run(&mut race, moves, args.number_or(PAIRS))?;
            let row = format!("{row}, {round_trip} ms");
            println!("{row:<WIDTH$} {}", pairs.fields());
            ours.push(pairs.ours().median);
            if round_trip == ROUND_TRIPS_MS[1] {
                count(&mut race, moves, &proxy)?;
            }
        }
        let between = f64::from(u32::try_from(ROUND_TRIPS_MS[1] - ROUND_TRIPS_MS[0])?);
        println!(
            "  by the times, {:.1} round trips in a row here",
            (ours[1] - ours[0]) / between
        );
    }
    Ok(())
}

fn run(race: &mut Race<'_>, moves: Moves, pairs: usize) -> Result<Pairs> {
    if let Moves::Nothing = moves {
        return Pairs::run(
            pairs,
            ROW,
            || Ok(()),
            || race.pull(),
            || race.deploy("unchanged"),
        );
    }
    let mut round = 0;
    race.run(pairs, ROW, |world| {
        round += 1;
        moves.push(world, round)
    })
}

fn count(race: &mut Race<'_>, moves: Moves, proxy: &Proxy) -> Result<()> {
    moves.push(&mut race.world, 0)?;
    proxy.seen();
    race.pull()?;
    let bare = proxy.seen();
    race.deploy(match moves {
        Moves::Nothing => "unchanged",
        Moves::TheSame | Moves::Another | Moves::All | Moves::None => "deployed",
    })?;
    let here = proxy.seen();
    println!(
        "  connections {} and {} here, requests {} and {} here, round trips in a row {} and {} here",
        bare.connections,
        here.connections,
        bare.requests,
        here.requests,
        bare.in_a_row,
        here.in_a_row,
    );
    Ok(())
}
