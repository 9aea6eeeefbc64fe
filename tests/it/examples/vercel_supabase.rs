//! `vercel-supabase`: the simulators of Vercel and Netlify, third parties that know who asks, files and programs.

use tempfile::TempDir;
use vigie::incident::approval::Verdict;

use super::site::{Site, THIRD_PARTY};
use super::{Example, npm_scripts, program, reaching, variables};
use crate::french::is_french;
use crate::platforms::Desk;
use crate::platforms::netlify::{Netlify, SITE};
use crate::platforms::vercel::{DOMAIN, PROJECT, Vercel};
use crate::postgres::shop::Shop;

const NAME: &str = "vercel-supabase";
const VALUE: &str = "value-nobody-may-see";

struct Peers {
    vercel: Desk<Vercel>,
    netlify: Desk<Netlify>,
    shop: Shop,
    folder: TempDir,
}

impl Peers {
    fn live(&self) -> (String, String) {
        let vercel = self.vercel.with(|vercel| vercel.live().to_owned());
        (vercel, self.netlify.with(|netlify| netlify.published().to_owned()))
    }

    fn env(&self) -> String {
        std::fs::read_to_string(self.folder.path().join(".env")).expect("it is there")
    }
}

/// Opens and closes the site for who writes, says how it stands, and keeps a list of what it was asked for.
const WRITES: &str = "cd \"$(dirname \"$0\")/..\"
case $1 in
fermer) touch fermees; echo \"$1\" >>journal ;;
ouvrir) rm -f fermees; echo \"$1\" >>journal ;;
fermees) [ -e fermees ] ;;
ouvertes) [ ! -e fermees ] ;;
esac
";

/// The shop is well when it does not show the newest deployment.
async fn opened() -> (Example, Peers) {
    let (vercel, netlify) = (Desk::open(Vercel::new()).await, Desk::open(Netlify::new()).await);
    for (number, said) in (1..).zip(["Ajouter le panier", "Corriger le panier", "Nouveau paiement"]) {
        vercel.with(|vercel| vercel.deployment(&format!("dpl_{number}")).message = said.to_owned());
        netlify.with(|netlify| netlify.deploy(&format!("66f0a{number}")).title = said.to_owned());
    }
    vercel.with(|vercel| vercel.set("NOUVEAU_PAIEMENT", VALUE, "encrypted", &["production"]));
    let folder = tempfile::tempdir().expect("a folder can be made");
    let files = [
        (".env", "PAYMENT=new\n"),
        (".env.20261119T080000Z", "PAYMENT=old\n"),
        // The newest, but no copy: a laptop's settings.
        (".env.local", "PAYMENT=pretended\n"),
    ];
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("it can be written");
    }
    program(&folder.path().join("bin/ecritures"), WRITES);
    for name in ["copies", "exports"] {
        std::fs::create_dir(folder.path().join(name)).expect("it can be made");
    }
    let shop = Shop::open().await;
    // A restore beside the database makes another one.
    shop.admin(&format!("ALTER ROLE {} CREATEDB", shop.name)).await;
    let shown = vercel.clone();
    let site = Site::open(move || shown.with(|vercel| vercel.live() != "dpl_3")).await;
    npm_scripts(folder.path(), &site.url);
    let (to_vercel, team) = vercel.with(|vercel| (vercel.token.clone(), vercel.team.clone()));
    let mut open = variables([
        ("SHOP_URL", &site.url),
        // Nobody listens there: what cannot be reached is told, and holds nothing up.
        ("SHOP_HOST", "127.0.0.1:9"),
        ("SHOP_FOLDER", &folder.path().display().to_string()),
        ("VARIABLES_FOLDER", &folder.path().join("copies").display().to_string()),
        ("EXPORTS_FOLDER", &folder.path().join("exports").display().to_string()),
        ("VERCEL_API", &vercel.url),
        ("VERCEL_DOMAIN", DOMAIN),
        ("VERCEL_PROJECT", PROJECT),
        ("VERCEL_TEAM", &team),
        ("VERCEL_TOKEN", &to_vercel),
        ("NETLIFY_API", &netlify.url),
        ("NETLIFY_SITE", SITE),
        ("NETLIFY_TOKEN", &netlify.with(|netlify| netlify.token.clone())),
        ("WHATSAPP_API", &format!("{}/graph", site.url)),
        ("WHATSAPP_TOKEN", THIRD_PARTY),
        ("WAVE_API", &format!("{}/wave", site.url)),
        ("WAVE_TOKEN", THIRD_PARTY),
        ("SENTRY_API", &format!("{}/sentry", site.url)),
        ("SENTRY_TOKEN", THIRD_PARTY),
    ]);
    open.extend(reaching(&shop));
    let mut example = Example::open(NAME, open, "niveau2 le paiement échoue").await;
    example.keeps_secret(VALUE);
    (example, Peers { vercel, netlify, shop, folder })
}

/// V1, N1, X2, H1, H4, H5, H7, P1, P2, P3, P4, P5, P6 · site, front page and settings go back under one approval, in French,
/// from the declaration to the post-mortem.
#[tokio::test]
async fn the_emergency_plan_of_a_vercel_shop_is_run_from_end_to_end() {
    let (example, peers) = opened().await;
    example.lives_through("tout-revenir", "marche", &["site"]).await;
    assert_eq!(peers.live(), ("dpl_2".to_owned(), "66f0a2".to_owned()));
    assert_eq!(peers.env(), "PAYMENT=old\n");
    is_french(&example.world);
    example.close().await;
}

/// V1, V2, V3, N1, X2, H1, H4 · each of its parts alone.
#[tokio::test]
async fn each_part_of_a_vercel_shop_goes_back_by_itself() {
    let (example, peers) = opened().await;
    let seen = example.diagnoses("marche").await;
    for well in ["whatsapp", "wave", "sentry", "journaux", "essais"] {
        assert_eq!(seen[well], Verdict::Pass, "{well}: {seen:?}");
    }
    assert_eq!((seen["site"], seen["certificat"]), (Verdict::Fail, Verdict::Fail), "{seen:?}");

    example.runs("revenir-vercel").await;
    assert_eq!(peers.live().0, "dpl_2");
    example.runs("promouvoir").await;
    assert_eq!(peers.live().0, "dpl_3");
    example.runs("revenir-netlify").await;
    assert_eq!(peers.live().1, "66f0a2");
    // A person says how far.
    example.runs_to("revenir-vercel", "dpl_1").await;
    example.runs_to("revenir-netlify", "66f0a1").await;
    assert_eq!(peers.live(), ("dpl_1".to_owned(), "66f0a1".to_owned()));
    example.runs("adresse-secours").await;
    assert_eq!(peers.vercel.with(|vercel| vercel.domains["secours.marche.example.com"].clone()), "dpl_1");

    example.runs("variables-sauver").await;
    let set = |peers: &Peers| peers.vercel.with(|vercel| vercel.value("NOUVEAU_PAIEMENT"));
    example.runs("variables-retirer").await;
    assert_eq!(set(&peers), None);
    example.runs("variables-remettre").await;
    assert_eq!(set(&peers).as_deref(), Some(VALUE));

    example.runs("env-remettre").await;
    assert_eq!(peers.env(), "PAYMENT=old\n");
    std::fs::write(peers.folder.path().join(".env"), "PAYMENT=newer\n").expect("it can be written");
    example.runs("env-sauver").await;
    std::fs::write(peers.folder.path().join(".env"), "PAYMENT=wrong\n").expect("it can be written");
    example.runs("env-remettre").await;
    assert_eq!(peers.env(), "PAYMENT=newer\n");
    example.close().await;
}

/// D1, D2, D3, D4, D5, H3, P1, P6 · the database is backed up, written out, restored beside itself and in its place while
/// nobody writes, and a migration is undone.
#[tokio::test]
async fn the_database_of_a_vercel_shop_is_kept_restored_and_migrated_back() {
    let (example, peers) = opened().await;
    let seen = example.diagnoses("marche").await;
    for well in ["base-version", "base-connexions", "commandes"] {
        assert_eq!(seen[well], Verdict::Pass, "{well}: {seen:?}");
    }
    example.runs("base-sauver").await;
    example.runs("base-exporter").await;
    let exports = std::fs::read_dir(peers.folder.path().join("exports")).expect("it can be read");
    let names: Vec<_> = exports.map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    peers.shop.sql("INSERT INTO orders SELECT n, 1 FROM generate_series(101, 155) AS n").await;
    example.runs("base-copie").await;
    assert_eq!(peers.shop.databases().await.len(), 2);
    assert_eq!(peers.shop.count("SELECT count(*) FROM orders").await, 155, "the one in use is left alone");

    let ended = example.runs("base-restaurer").await;
    assert_eq!(ended.run.approvals.len(), 2);
    assert_eq!(peers.shop.count("SELECT count(*) FROM orders").await, 100);
    let journal = std::fs::read_to_string(peers.folder.path().join("journal")).expect("it is there");
    assert_eq!(journal, "fermer\nouvrir\n");
    example.runs("migration-retour").await;
    assert_eq!(peers.shop.count("SELECT max(version)::bigint FROM migrations").await, 41);
    example.close().await;
}
