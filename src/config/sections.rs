//! All sections of the configuration.
//!
//! Owns which sections there are, and their order in the documents.
//!
//! Not here: the settings of a section. Each room declares its own, with their defaults.

use std::collections::BTreeMap;

use super::{
    platforms::{self, PlatformSettings},
    reader::Reader,
    values::Values,
};
use crate::{
    admin::AdminSettings,
    broker::{BrokerSettings, DelaySettings, OutcomeSettings},
    crypto::KeySettings,
    domain::{GroupName, Platform, PlatformMap},
    fanout::DecoderSettings,
    history::HistorySettings,
    pace::{BreakerPolicy, GroupSettings, HealthPolicy, PaceLimits},
    pipeline::ShutdownSettings,
    send::HttpTransportSettings,
    settings::{DefaultValue, Section, Setting},
    settle::RetryPolicy,
    store::StoreSettings,
    telemetry::{LogSettings, TraceSettings},
};

/// Declares the configuration: a field for each line.
macro_rules! config {
    ($($section:ident: $type:ty;)+) => {
        /// All settings, one field for each section.
        #[derive(Clone, Debug)]
        pub struct Config {
            $(#[doc = concat!("`[", stringify!($section), "]`")] pub $section: $type,)+
            /// Hashes of all settings, to compare two configurations.
            pub(super) values: Values,
        }

        impl Config {
            /// Reads all sections. `None` means that a mistake left a setting without a value.
            pub(super) fn of(r: &mut Reader<'_>) -> Option<Self> {
                $(let $section = <$type as Sections>::read_from(r);)+
                Some(Self { $($section: $section?,)+ values: Values::default() })
            }

            /// This configuration after a reload of `new`: each setting from `new` if it takes
            /// effect at a reload, else as it was.
            #[must_use]
            pub fn reloaded(&self, new: &Self) -> Self {
                Self {
                    $($section: Sections::after_reload(&self.$section, &new.$section),)+
                    values: new.values.clone(),
                }
            }
        }

        /// All sections, in the order of the documents.
        #[must_use]
        pub fn declared_sections() -> Vec<DeclaredSection> {
            vec![$(<$type as Sections>::declared(),)+]
        }
    };
}

config! {
    broker: BrokerSettings;
    delay: DelaySettings;
    event: DecoderSettings;
    outcome: OutcomeSettings;
    pace: PaceLimits;
    platforms: PlatformMap<PlatformSettings>;
    health: HealthPolicy;
    breaker: BreakerPolicy;
    groups: BTreeMap<GroupName, GroupSettings>;
    retry: RetryPolicy;
    send: HttpTransportSettings;
    store: StoreSettings;
    history: HistorySettings;
    key: KeySettings;
    admin: AdminSettings;
    log: LogSettings;
    trace: TraceSettings;
    shutdown: ShutdownSettings;
}

/// A section as its room declares it.
#[derive(Clone, Debug)]
pub struct DeclaredSection {
    /// Its name in the file; a part in angle brackets stands for any name.
    pub name: &'static str,
    /// The names that a file may have instead, with the defaults that differ there. Empty if the
    /// section has one name, or its user chooses the name.
    pub instances: Vec<(String, Vec<(&'static str, DefaultValue)>)>,
    /// What it is about.
    pub about: String,
    /// Its settings.
    pub settings: Vec<Setting>,
}

impl DeclaredSection {
    fn of<S: Section>() -> Self {
        Self { name: S::NAME, instances: Vec::new(), about: S::about(), settings: S::settings() }
    }
}

/// A field of the configuration: one section, or all of one kind.
trait Sections: Sized {
    /// Reads them. `None` means that a mistake left a setting without a value.
    fn read_from(r: &mut Reader<'_>) -> Option<Self>;
    /// Each setting from `new` if it takes effect at a reload, else as it was.
    fn after_reload(&self, new: &Self) -> Self;
    /// Their declaration.
    fn declared() -> DeclaredSection;
}

impl<S: Section> Sections for S {
    fn read_from(r: &mut Reader<'_>) -> Option<Self> {
        Self::read(r, Self::NAME, &Self::defaults())
    }

    fn after_reload(&self, new: &Self) -> Self {
        self.reloaded(new)
    }

    fn declared() -> DeclaredSection {
        DeclaredSection::of::<Self>()
    }
}

/// `[platforms.<platform>]`, one section for each platform.
impl Sections for PlatformMap<PlatformSettings> {
    fn read_from(r: &mut Reader<'_>) -> Option<Self> {
        PlatformMap::from_fn(|platform| PlatformSettings::of(r, platform)).complete()
    }

    fn after_reload(&self, new: &Self) -> Self {
        self.map(|platform, old| old.reloaded(new.get(platform)))
    }

    fn declared() -> DeclaredSection {
        let instances = Platform::ALL
            .map(|platform| (format!("platforms.{platform}"), platforms::defaults(platform)));
        DeclaredSection {
            instances: instances.to_vec(),
            ..DeclaredSection::of::<PlatformSettings>()
        }
    }
}

/// `[groups.<name>]`, one section for each organisation.
impl Sections for BTreeMap<GroupName, GroupSettings> {
    fn read_from(r: &mut Reader<'_>) -> Option<Self> {
        let (mut groups, mut complete) = (Self::new(), true);
        for name in r.sections_of("groups") {
            let section = format!("groups.{name}");
            let settings = GroupSettings::read(r, &section, &[]);
            match name.parse::<GroupName>() {
                Ok(name) => match settings {
                    Some(settings) => drop(groups.insert(name, settings)),
                    None => complete = false,
                },
                Err(mistake) => r.across_section(&section, &mistake.to_string()),
            }
        }
        complete.then_some(groups)
    }

    fn after_reload(&self, new: &Self) -> Self {
        let groups = new.iter().map(|(name, new)| {
            let old = self.get(name);
            (name.clone(), old.map_or_else(|| new.clone(), |old| old.reloaded(new)))
        });
        groups.collect()
    }

    fn declared() -> DeclaredSection {
        DeclaredSection::of::<GroupSettings>()
    }
}
