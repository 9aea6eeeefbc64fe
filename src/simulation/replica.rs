//! One `vigie serve` of the simulation.

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, OnceLock};

use super::outside::{Outside, Telephone};
use crate::actions::{Actions, http};
use crate::app::name_destinations;
use crate::clock::Clock;
use crate::comms::CommsConfig;
use crate::config;
use crate::engine::{Engine, Parts, Watch};
use crate::incident::rules::Rules;
use crate::paging::{PagingConfig, PagingKind};
use crate::render::Renderer;
use crate::store::Store;

/// What every replica is made from.
pub(super) struct Mould {
    pub rules: Arc<Rules>,
    actions: Actions,
    comms: CommsConfig,
    paging: PagingConfig,
    render: Arc<Renderer>,
}

impl Mould {
    /// The team's configuration, with its shop at this address.
    pub fn new(shop: &str) -> Self {
        static RENDER: OnceLock<Arc<Renderer>> = OnceLock::new();
        crate::app::install_crypto();
        let env = |name: &str| match name {
            "SHOP_URL" => Some(shop.to_owned()),
            _ => Some("not-used".to_owned()),
        };
        let config =
            config::parse("team.yml", include_str!("team.yml"), &env).unwrap_or_else(|fault| panic!("{fault}"));
        let comms = config.comms.build(&config.paging).expect("the audiences are sound");
        let mut rules = config.rules;
        name_destinations(&mut rules, &comms);
        let client = http::client().expect("a client can be made");
        let actions = Actions::new(config.actions, client, Default::default(), &[]).expect("the actions are sound");
        let render = RENDER.get_or_init(|| Arc::new(Renderer::load(None).expect("the templates are sound")));
        let (comms, paging) = (config.comms, config.paging);
        Self { rules: Arc::new(rules), actions, comms, paging, render: Arc::clone(render) }
    }
}

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Up,
    /// Stopped for a while with everything it holds.
    Frozen,
    /// Its process is gone.
    Down,
}

pub(super) struct Replica {
    pub condition: Condition,
    pub engine: Engine,
    pub store: Store,
    pub clock: Clock,
    /// By how much its clock goes ahead, in milliseconds.
    pub ahead: Arc<AtomicI64>,
}

impl Replica {
    pub fn start(mould: &Mould, base: &Store, clock: &Clock, outside: &Outside) -> Self {
        let (store, ahead) = (base.beside(), Arc::<AtomicI64>::default());
        let clock = clock.apart(Arc::clone(&ahead));
        let telephone = |kind| Arc::new(Telephone(outside.clone(), kind)) as _;
        let engine = Engine::new(Parts {
            store: store.clone(),
            clock: clock.clone(),
            rules: Arc::clone(&mould.rules),
            render: Arc::clone(&mould.render),
            slack: Arc::new(outside.clone()),
            actions: mould.actions.clone(),
            paging: vec![telephone(PagingKind::Email), telephone(PagingKind::Sms)],
            comms: mould.comms.build(&mould.paging).expect("the audiences are sound"),
            watch: Watch::default(),
        });
        Self { condition: Condition::Up, engine, store, clock, ahead }
    }
}
