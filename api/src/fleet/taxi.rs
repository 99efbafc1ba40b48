//! How a taxi moves and what it is doing.
//!
//! It drives straight from corner to corner, turns there by about a right angle or not at all, brakes for
//! turns and red lights, and prefers the turn that leads to where it wants to go: with a customer somewhere
//! in the town, without one back to its rank, where it waits.

use std::f64::consts::{FRAC_PI_2, PI, TAU};
use std::ops::Range;
use std::sync::Arc;

use ingest::position::{Accuracy, Heading, Motion, Speed};
use rand::RngExt;
use rand::rngs::StdRng;

use super::town::{Place, Town};

/// What no taxi exceeds, in km/h.
pub const SPEED_MAX_KMH: f64 = 50.0;

/// The longest time that one [`Taxi::step`] simulates, in seconds: what is beyond is not simulated.
pub const STEP_MAX_S: f64 = 600.0;

/// Movement is computed in slices of this length, in seconds: short against a street.
const SLICE_S: f64 = 1.0;

const CRUISE_KMH: Range<f64> = 22.0..SPEED_MAX_KMH;
const CORNER_MPS: f64 = 4.5;
const ACCELERATION_MPS2: f64 = 1.5;
const BRAKING_MPS2: f64 = 2.5;

const BLOCK_M: Range<f64> = 80.0..250.0;
/// Streets do not cross at exact right angles; in radians.
const CROOKEDNESS_RAD: Range<f64> = -0.12..0.12;
/// How often a driver takes the turn that leads to the goal.
const SENSE_OF_DIRECTION: f64 = 0.75;
const RED_LIGHTS: f64 = 0.3;
const RED_LIGHT_S: Range<f64> = 5.0..40.0;
/// A stretch that ends this close to the goal has reached it, in metres.
const ARRIVAL_M: f64 = 30.0;
/// How far ahead it must be possible to drive after turning at the border, in metres.
const ROOM_M: f64 = 60.0;

const BOARDING_S: Range<f64> = 15.0..60.0;
const WAITING_S: Range<f64> = 120.0..420.0;

// A cycle of 16 minutes free, 8 occupied and, once in ten, 10 off: 64 % free, 32 % occupied, 4 % off.
const FREE_S: Range<f64> = 480.0..1440.0;
const OCCUPIED_S: Range<f64> = 240.0..720.0;
const OFF_S: Range<f64> = 300.0..900.0;
const BREAKS: f64 = 0.1;
const FREE_AT_START: f64 = 0.64;
const OFF_AT_START: f64 = 0.04;

/// The radius in which a device believes itself, in metres.
const ACCURACY_M: f64 = 5.0;

/// What a taxi tells its operator that it is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Waiting or cruising for customers.
    Free,
    /// With a customer.
    Occupied,
    /// Not working.
    Off,
}

impl Status {
    /// The word for it in datagrams and in the registry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Occupied => "occupied",
            Self::Off => "off",
        }
    }

    fn duration_s(self) -> Range<f64> {
        match self {
            Self::Free => FREE_S,
            Self::Occupied => OCCUPIED_S,
            Self::Off => OFF_S,
        }
    }
}

/// A taxi on its way: position, movement and status. Always inside its town.
#[derive(Clone, Debug)]
pub struct Taxi {
    town: Arc<Town>,
    /// Where it waits when free; without one, it cruises.
    rank: Option<Place>,
    at: Place,
    goal: Place,
    /// Clockwise from north.
    heading_rad: f64,
    speed_mps: f64,
    halt_s: f64,
    block: Block,
    status: Status,
    status_left_s: f64,
}

/// The stretch of street up to the next corner, and what happens there.
#[derive(Clone, Copy, Debug)]
struct Block {
    left_m: f64,
    cruise_mps: f64,
    turn_rad: f64,
    red_light: bool,
}

impl Taxi {
    /// A taxi at `start`, or at the town's centre where `start` lies outside. With a `rank`, it returns there
    /// when free.
    pub fn new(town: Arc<Town>, start: Place, rank: Option<Place>, rng: &mut StdRng) -> Self {
        let at = if town.contains(start.as_sent()) { start } else { town.centre() };
        let drawn = rng.random::<f64>();
        let status = if drawn < FREE_AT_START {
            Status::Free
        } else if drawn < FREE_AT_START + OFF_AT_START {
            Status::Off
        } else {
            Status::Occupied
        };
        // Each is met somewhere in the middle of what it does, or all would change at once.
        let status_left_s = rng.random_range(status.duration_s()) * rng.random::<f64>();
        let block = Block { left_m: 0.0, cruise_mps: 0.0, turn_rad: 0.0, red_light: false };
        let heading_rad = rng.random_range(0.0..TAU);
        let mut taxi = Self {
            town,
            rank,
            at,
            goal: at,
            heading_rad,
            speed_mps: 0.0,
            halt_s: 0.0,
            block,
            status,
            status_left_s,
        };
        taxi.choose_goal(rng);
        taxi.enter_block(rng);
        taxi
    }

    /// Lets `dt_s` seconds pass, at most [`STEP_MAX_S`]; the new status where it has changed.
    pub fn step(&mut self, dt_s: f64, rng: &mut StdRng) -> Option<Status> {
        let before = self.status;
        let mut left_s = dt_s.min(STEP_MAX_S);
        while left_s > 0.0 {
            let slice_s = left_s.min(SLICE_S);
            self.pass_time(slice_s, rng);
            self.drive(slice_s, rng);
            left_s -= slice_s;
        }
        (self.status != before).then_some(self.status)
    }

    /// Where it is, as its device says it.
    pub fn place(&self) -> Place {
        self.at.as_sent()
    }

    /// What it is doing.
    pub fn status(&self) -> Status {
        self.status
    }

    /// How fast it drives, in km/h: 0 to [`SPEED_MAX_KMH`].
    pub fn speed_kmh(&self) -> f64 {
        self.speed_mps * 3.6
    }

    /// What its device says of its motion. It believes itself within five metres.
    pub fn motion(&self) -> Motion {
        Motion {
            speed: Speed::from_m_s(self.speed_mps).ok(),
            heading: Heading::from_degrees(self.heading_rad.to_degrees().rem_euclid(360.0)).ok(),
            accuracy: Accuracy::from_m(ACCURACY_M).ok(),
        }
    }

    /// The town that it never leaves.
    pub fn town(&self) -> &Town {
        &self.town
    }

    fn pass_time(&mut self, slice_s: f64, rng: &mut StdRng) {
        self.status_left_s -= slice_s;
        if self.status_left_s > 0.0 {
            return;
        }
        self.status = match self.status {
            Status::Free => Status::Occupied,
            Status::Occupied if rng.random_bool(BREAKS) => Status::Off,
            Status::Occupied | Status::Off => Status::Free,
        };
        self.status_left_s = rng.random_range(self.status.duration_s());
        // Somebody gets in or out, or the driver comes back.
        self.halt(BOARDING_S, rng);
        self.choose_goal(rng);
        self.enter_block(rng);
    }

    fn drive(&mut self, slice_s: f64, rng: &mut StdRng) {
        if self.status == Status::Off {
            self.speed_mps = 0.0;
        } else if self.halt_s > 0.0 {
            self.halt_s -= slice_s;
        } else {
            self.roll(slice_s, rng);
        }
    }

    fn roll(&mut self, slice_s: f64, rng: &mut StdRng) {
        let slowest = self.speed_mps - BRAKING_MPS2 * slice_s;
        let fastest = self.speed_mps + ACCELERATION_MPS2 * slice_s;
        // A metre a second brings a taxi to the very corner where it must stop.
        self.speed_mps = self.block.speed_mps().min(fastest).max(slowest).max(1.0);
        let metres = self.speed_mps * slice_s;
        let next = self.at.moved(metres, self.heading_rad);
        // What counts is the place that is sent: rounding must not carry it over the border.
        if !self.town.contains(next.as_sent()) {
            return self.turn_back(metres, rng);
        }
        self.at = next;
        self.block.left_m -= metres;
        if self.block.left_m <= 0.0 {
            self.reach_corner(rng);
        }
    }

    fn reach_corner(&mut self, rng: &mut StdRng) {
        self.heading_rad = (self.heading_rad + self.block.turn_rad).rem_euclid(TAU);
        if self.at.distance_m(self.goal) < ARRIVAL_M {
            self.halt(if self.status == Status::Free { WAITING_S } else { BOARDING_S }, rng);
            self.choose_goal(rng);
        } else if self.block.red_light {
            self.halt(RED_LIGHT_S, rng);
        }
        self.enter_block(rng);
    }

    fn enter_block(&mut self, rng: &mut StdRng) {
        let cruise_mps = rng.random_range(CRUISE_KMH) / 3.6;
        let to_goal_m = self.at.distance_m(self.goal);
        if to_goal_m < BLOCK_M.end {
            // The last street leads there, or a taxi would circle around its goal block after block.
            self.heading_rad = self.at.heading_rad(self.goal).rem_euclid(TAU);
            self.block = Block { left_m: to_goal_m, cruise_mps, turn_rad: 0.0, red_light: true };
            return;
        }
        let left_m = rng.random_range(BLOCK_M);
        let ahead_rad = self.at.moved(left_m, self.heading_rad).heading_rad(self.goal) - self.heading_rad;
        let square = if rng.random_bool(SENSE_OF_DIRECTION) {
            best_turn(ahead_rad)
        } else {
            [0.0, FRAC_PI_2, -FRAC_PI_2][rng.random_range(0..3)]
        };
        let turn_rad = square + rng.random_range(CROOKEDNESS_RAD);
        self.block = Block { left_m, cruise_mps, turn_rad, red_light: rng.random_bool(RED_LIGHTS) };
    }

    fn turn_back(&mut self, metres: f64, rng: &mut StdRng) {
        let side = if rng.random_bool(0.5) { FRAC_PI_2 } else { -FRAC_PI_2 };
        let anywhere = rng.random_range(0.0..TAU);
        let turns = [side, -side, PI, anywhere, anywhere + FRAC_PI_2, anywhere + PI, anywhere - FRAC_PI_2];
        let open = |turn: &f64, room_m: f64| {
            let place = self.at.moved(room_m, self.heading_rad + turn);
            self.town.contains(place.as_sent())
        };
        // In a corner too narrow for a street's length, a car's length will do.
        let turn = turns
            .iter()
            .find(|turn| open(turn, ROOM_M))
            .or_else(|| turns.iter().find(|turn| open(turn, metres)));
        self.speed_mps = self.speed_mps.min(CORNER_MPS);
        if let Some(turn) = turn {
            self.heading_rad = (self.heading_rad + turn).rem_euclid(TAU);
        }
        let cruise_mps = rng.random_range(CRUISE_KMH) / 3.6;
        let turn_rad = rng.random_range(CROOKEDNESS_RAD);
        self.block = Block { left_m: rng.random_range(BLOCK_M), cruise_mps, turn_rad, red_light: false };
    }

    fn choose_goal(&mut self, rng: &mut StdRng) {
        self.goal = if let (Status::Free, Some(rank)) = (self.status, self.rank) {
            rank
        } else {
            // Most rides are short.
            let (one, other) = (self.town.random_place(rng), self.town.random_place(rng));
            if self.at.distance_m(one) < self.at.distance_m(other) { one } else { other }
        };
    }

    fn halt(&mut self, seconds: Range<f64>, rng: &mut StdRng) {
        self.halt_s = rng.random_range(seconds);
        self.speed_mps = 0.0;
    }
}

impl Block {
    /// How fast one may be with what is left of the block, to turn or to stop at its end.
    fn speed_mps(&self) -> f64 {
        let at_end_mps = if self.red_light {
            0.0
        } else if self.turn_rad.abs() > 0.5 {
            CORNER_MPS
        } else {
            return self.cruise_mps;
        };
        let braking_mps = (at_end_mps * at_end_mps + 2.0 * BRAKING_MPS2 * self.left_m.max(0.0)).sqrt();
        braking_mps.min(self.cruise_mps)
    }
}

/// Straight on, right or left: what points best in a direction that is `ahead_rad` clockwise of the heading.
fn best_turn(ahead_rad: f64) -> f64 {
    if ahead_rad.cos() >= ahead_rad.sin().abs() { 0.0 } else { FRAC_PI_2.copysign(ahead_rad.sin()) }
}

#[cfg(test)]
mod tests;
