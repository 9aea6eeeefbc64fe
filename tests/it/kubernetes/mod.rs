//! Roll-backs in a real Kubernetes through the whole bot: the command, the plan, the click, the cluster that really
//! changed, the verification, the timeline (K1–K16). Every test reads the server's own record of what the bot changed.

mod apply;
mod back;
mod clusters;
mod configuration;
mod cut_off;
mod faults;
mod hard;
mod injector;
mod jobs;
mod kept;
mod paused;
pub mod plane;
mod process;
mod progress;
pub mod relay;
mod roll_outs;
mod team;
mod terminal;
mod undo;
mod work;
