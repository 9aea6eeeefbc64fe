//! What every card promises, and what the main ones look like.

use super::example::*;
use super::{draw, facts, sheets, topic, words};
use crate::incident::decision::Sheet;
use crate::incident::timeline::{Card, Fact};
use crate::slack::scene::Drawn;

fn drawn(stage: &Stage, card: Card) -> Drawn {
    draw(&stage.scene(), &card).unwrap_or_else(|fault| panic!("{fault}")).unwrap()
}

#[test]
fn show_all() {
    let mut s = Stage::declared();
    println!("{}\n=====", sketch(&drawn(&s, Card::Incident)));
    println!("{}\n=====", sketch(&drawn(&s, Card::Announcement)));
    println!("{}\n=====", sketch(&drawn(&s, Card::Page(page(1)))));
    s.acknowledged();
    println!("{}\n=====", sketch(&drawn(&s, Card::Incident)));
    println!("{}\n=====", sketch(&drawn(&s, Card::Page(page(1)))));
    s.plan_asked();
    println!("{}\n=====", sketch(&drawn(&s, Card::Run(RUN))));
    let mut s = Stage::declared();
    s.acknowledged().plan_shown();
    println!("{}\n=====", sketch(&drawn(&s, Card::Run(RUN))));
    println!("{}\n=====", sketch(&drawn(&s, Card::Incident)));
    let mut s = Stage::declared();
    s.acknowledged().running();
    println!("{}\n=====", sketch(&drawn(&s, Card::Run(RUN))));
    for e in &s.timeline {
        println!("{}", facts::line(&s.scene(), crate::render::Locale::Fr, e, facts::Medium::Plain).unwrap());
    }
    for seq in 1..=s.timeline.len() as u64 {
        println!("{}\n==", sketch(&drawn(&s, Card::Notice(seq))));
    }
    println!("{}", topic::topic(&s.scene(), s.incident()).unwrap());
    for sheet in [
        Sheet::Status,
        Sheet::Timeline,
        Sheet::List,
        Sheet::Help { topic: None },
        Sheet::Help { topic: Some("sev".into()) },
        Sheet::Actions { rollbacks: true },
    ] {
        println!("{}\n=====", sketch(&sheets::draw(&s.scene(), &sheet, crate::render::Locale::En).unwrap()));
    }
}
