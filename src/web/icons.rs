//! The icons pages use, from Lucide, written inline as SVG and hidden from screen readers.

use std::fmt;

use askama::filters::HtmlSafe;
use icondata_core::IconData;
use icondata_lu as lu;

macro_rules! icons {
    ($($name:ident => $data:ident),* $(,)?) => {
        /// An icon: `{{ icon }}` writes it. Always beside a word, never in place of one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Icon { $($name),* }

        impl Icon {
            fn data(self) -> &'static IconData {
                match self { $(Self::$name => lu::$data),* }
            }
        }
    };
}

icons! {
    Activity => LuActivity,
    Alert => LuTriangleAlert,
    Archive => LuArchive,
    ArrowDown => LuArrowDown,
    ArrowRight => LuArrowRight,
    ArrowUp => LuArrowUp,
    Ban => LuBan,
    Bell => LuBell,
    Chart => LuChartColumn,
    Check => LuCheck,
    ChevronDown => LuChevronDown,
    ChevronLeft => LuChevronLeft,
    ChevronRight => LuChevronRight,
    ChevronsLeft => LuChevronsLeft,
    ChevronsRight => LuChevronsRight,
    Circle => LuCircle,
    CircleAlert => LuCircleAlert,
    CircleCheck => LuCircleCheck,
    CirclePause => LuCirclePause,
    CircleX => LuCircleX,
    Clock => LuClock,
    Database => LuDatabase,
    Download => LuDownload,
    Home => LuHouse,
    Inbox => LuInbox,
    Info => LuInfo,
    Institution => LuBuilding2,
    Key => LuKeyRound,
    List => LuList,
    Loader => LuLoaderCircle,
    LogOut => LuLogOut,
    Mail => LuMail,
    Menu => LuMenu,
    Monitor => LuMonitor,
    Moon => LuMoon,
    Pause => LuPause,
    Pencil => LuPencil,
    Play => LuPlay,
    Plus => LuPlus,
    Refresh => LuRefreshCw,
    Search => LuSearch,
    Server => LuServer,
    Settings => LuSettings,
    Shield => LuShieldCheck,
    Students => LuGraduationCap,
    Sun => LuSun,
    Trash => LuTrash2,
    Undo => LuUndo2,
    Upload => LuUpload,
    User => LuUser,
    UserPlus => LuUserPlus,
    Users => LuUsers,
    X => LuX,
}

impl fmt::Display for Icon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let IconData { view_box, data, .. } = self.data();
        let view_box = view_box.unwrap_or("0 0 24 24");
        write!(
            f,
            "<svg class=\"icon\" aria-hidden=\"true\" width=\"16\" height=\"16\" viewBox=\"{view_box}\" \
             fill=\"none\" stroke=\"currentColor\" stroke-width=\"2\" stroke-linecap=\"round\" \
             stroke-linejoin=\"round\">{data}</svg>"
        )
    }
}

impl HtmlSafe for Icon {}
